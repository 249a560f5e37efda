"""Arguments that are objects of one class."""

from keras_basisprune.utils.shown import shown


def check_kind(argument, value, kind, remedy):
    """Raises `ValueError` unless a value is an object of a class.

    Args:
        argument: Name of the argument, for the message.
        value: What should be of the class.
        kind: The class.
        remedy: A sentence that says what to pass.
    """
    if isinstance(value, kind):
        return
    room = kind.__module__.split(".")[0]
    raise ValueError(
        f"Expected `{argument}` to be a `{room}.{kind.__name__}`. Received: "
        f"{argument}={shown(value)}. {remedy}"
    )
