"""Slopes of the largest convex curve below another."""

import numpy as np


def convex_slopes(values) -> np.ndarray:
    """Returns the slopes of the lower convex hull of a curve, between its points.

    Args:
        values: Array of shape `(n + 1,)`: the curve at 0, 1, ..., n.

    Returns:
        A float64 array of shape `(n,)` that does not decrease; its sum is that of the
        curve's differences.

    Example:

    >>> convex_slopes(np.array([0.0, 3.0, 4.0, 9.0]))
    array([2., 2., 5.])
    """
    values = np.asarray(values, np.float64)
    corners = [0]
    for place in range(1, len(values)):
        while len(corners) > 1 and _above(values, corners[-2], corners[-1], place):
            corners.pop()
        corners.append(place)
    hull = np.interp(np.arange(len(values)), corners, values[corners])
    return np.maximum.accumulate(np.diff(hull))


def _above(values, before, corner, behind) -> bool:
    """Whether a corner is on or above the line between its neighbours."""
    rise, run = values[corner] - values[before], corner - before
    return rise * (behind - corner) >= (values[behind] - values[corner]) * run
