"""Arrays of numbers among the arguments."""

import numpy as np

from keras_basisprune.utils.shown import shown


def check_numeric(argument, value, what="numbers") -> np.ndarray:
    """Raises `ValueError` unless a value is an array of real numbers.

    Args:
        argument: Name of the argument, for the message.
        value: What should be an array, or nested lists, of integers, floats or
            booleans, of equal lengths.
        what: What it should hold, in words.

    Returns:
        A NumPy array.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"Expected `{argument}` to hold {what}, as one array. Received: "
            f"{shown(value)}, of which NumPy makes none ({error}). Pass an array."
        ) from error
    if array.dtype.kind in "OSUcmM" or array.dtype.names:
        raise ValueError(
            f"Expected `{argument}` to hold {what}. Received: an array of shape "
            f"{array.shape}, dtype {array.dtype}. Pass integers or floats, by "
            "`numpy.asarray(..., 'float32')`, say."
        )
    return array
