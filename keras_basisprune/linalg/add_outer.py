"""Adds a product of two vectors to a matrix."""

import numpy as np

_ROWS = 256  # at once


def add_outer(matrix, weight, left, right) -> np.ndarray:
    """Adds `weight left right^T` in place, without another matrix of that size.

    Args:
        matrix: Float64 array of shape `(n, m)`, changed in place.
        weight: Float.
        left: Array of shape `(n,)`.
        right: Array of shape `(m,)`.

    Returns:
        The matrix.

    Example:

    >>> add_outer(np.eye(2), 2.0, np.array([1.0, 0.0]), np.array([1.0, 3.0]))
    array([[3., 6.],
           [0., 1.]])
    """
    for start in range(0, len(matrix), _ROWS):
        rows = slice(start, start + _ROWS)
        matrix[rows] += np.outer(weight * left[rows], right)
    return matrix
