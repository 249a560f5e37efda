"""The order of numbers by size, ignoring rounding errors."""

import numpy as np


def descending(values, tolerance) -> np.ndarray:
    """Sorts numbers, the largest first.

    Singular values are in descending order. Storing them in single or half precision
    may swap two that are almost equal; such pairs keep their places.

    Args:
        values: Array of shape `(count,)`.
        tolerance: Float > 0: if no number exceeds an earlier one by more than this
            share, all keep their places.

    Returns:
        An int array of shape `(count,)`: the positions, the largest value first. Equal
        values keep their order.

    Example:

    >>> descending(np.array([3.0, 1.0, 1.0000001, 0.5]), 1e-6)
    array([0, 1, 2, 3])
    """
    values = np.asarray(values, np.float64)
    least = np.minimum.accumulate(values)
    if (values <= least + tolerance * np.abs(least)).all():
        return np.arange(len(values))
    return np.argsort(-values, kind="stable")
