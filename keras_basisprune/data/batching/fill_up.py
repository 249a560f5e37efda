"""Pads arrays to whole batches."""

import numpy as np


def fill_up(array, size) -> np.ndarray:
    """Repeats samples from the beginning, until all batches are full.

    Args:
        array: Array of shape `(n, ...)`, `n` at least 1.
        size: Integer, the batch size; `None` for any.

    Returns:
        The array itself if it fits, else one of the next multiple of `size` samples.
    """
    missing = -len(array) % (size or 1)
    if not missing:
        return array
    return np.asarray(array)[np.arange(len(array) + missing) % len(array)]
