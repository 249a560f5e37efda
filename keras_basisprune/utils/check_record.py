"""Arguments that are records of this package."""

from keras_basisprune.utils.shown import shown


def check_record(argument, value, kind):
    """Raises `ValueError` unless a value is a record of a class.

    Args:
        argument: Name of the argument, for the message.
        value: What should be of the class; `None` stands for its defaults.
        kind: The class, all of whose arguments have defaults.

    Returns:
        The record.
    """
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    name = kind.__name__
    raise ValueError(
        f"Expected `{argument}` to be a `keras_basisprune.{name}` or None. Received: "
        f"{argument}={shown(value)}. Pass `{name}(...)`, or leave it out."
    )
