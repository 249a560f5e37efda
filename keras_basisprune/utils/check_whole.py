"""Whole numbers among the arguments."""

import operator

import numpy as np

from keras_basisprune.utils.shown import shown

_MOST = 2**31 - 1


def check_whole(argument, value, least=1, most=_MOST, remedy="") -> int:
    """Raises `ValueError` unless a value is a whole number in a range.

    Args:
        argument: Name of the argument, for the message.
        value: What should be an integer, of Python or NumPy. Booleans are not accepted.
        least: The smallest accepted integer.
        most: The largest accepted integer.
        remedy: A sentence that says what to pass.

    Returns:
        The number, as an `int`.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is not None and least <= number <= most:
        return number
    if most != _MOST or (number is not None and number > most):
        expected = f"an integer in [{least}, {most}]"
    else:
        expected = "a positive integer" if least == 1 else f"an integer >= {least}"
    raise ValueError(
        f"Expected `{argument}` to be {expected}. "
        f"Received: {argument}={shown(value)}. {remedy or f'Pass {least}, say.'}"
    )
