"""Arguments that are one of several names."""

from keras_basisprune.utils.shown import shown


def check_choice(argument, value, choices, remedy=""):
    """Raises `ValueError` unless a value is one of some strings (and `None`).

    Args:
        argument: Name of the argument, for the message.
        value: What should be one of `choices`.
        choices: A tuple of strings, which may contain `None`.
        remedy: A sentence that says what to pass.
    """
    if (value is None or isinstance(value, str)) and value in choices:
        return
    *first, last = map(repr, choices)
    known = f"{', '.join(first)} or {last}" if first else last
    raise ValueError(
        f"Expected `{argument}` to be {known}. Received: "
        f"{argument}={shown(value)}. {remedy or f'Pass {choices[0]!r}, say.'}"
    )
