"""Arguments that are true or false."""

import numpy as np

from keras_basisprune.utils.shown import shown


def check_flag(argument, value) -> bool:
    """Raises `ValueError` unless a value is true or false (or 1 or 0).

    Args:
        argument: Name of the argument, for the message.
        value: What should be a boolean.

    Returns:
        The `bool`.
    """
    if isinstance(value, bool | np.bool_ | int | np.integer) and value in (0, 1):
        return bool(value)
    raise ValueError(
        f"Expected `{argument}` to be True or False. "
        f"Received: {argument}={shown(value)}. Pass one of the two."
    )
