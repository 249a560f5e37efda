"""Shares of energy, and the ranks that keep them."""

import numpy as np


def rank_for_energy(singular_values, energy):
    """Returns the smallest rank that keeps a share of the energy.

    The energy of a matrix is the sum of its squared singular values.

    Args:
        singular_values: Array of shape `(r,)`, descending, not negative.
        energy: Float in (0, 1], the share to keep.

    Returns:
        The smallest int `rank >= 1` with `kept_energy(singular_values, rank) >=
        energy`, up to float64 rounding. 1 if all singular values are zero.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> rank_for_energy([3.0, 1.0], 0.9)
    1
    """
    if not 0.0 < energy <= 1.0:
        raise ValueError(
            "Expected `energy` to be a float in (0, 1]. "
            f"Received: energy={energy}. Pass the share of the squared singular "
            "values to keep, e.g. 0.95."
        )
    sums = _energy_sums(singular_values)
    wanted = energy * sums[-1] * (1.0 - 4.0 * np.finfo(np.float64).eps)
    return int(np.searchsorted(sums, wanted)) + 1


def kept_energy(singular_values, rank):
    """Returns the share of the energy that the leading singular values hold.

    Args:
        singular_values: Array of shape `(r,)`, descending, not negative.
        rank: Int in [0, r], the number of kept values.

    Returns:
        A float in [0, 1]; 1.0 if all singular values are zero.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> kept_energy([3.0, 1.0], 1)
    0.9
    """
    sums = _energy_sums(singular_values)
    if not 0 <= rank <= len(sums):
        raise ValueError(
            f"Expected `rank` to be an int in [0, {len(sums)}], the number of "
            f"singular values. Received: rank={rank}."
        )
    if sums[-1] == 0.0:
        return 1.0
    return float(sums[rank - 1] / sums[-1]) if rank else 0.0


def _energy_sums(singular_values):
    """Returns running sums of the squares, scaled exactly by a power of two."""
    values = np.asarray(singular_values, np.float64)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError(
            "Expected `singular_values` to be a non-empty array of 1 dimension with "
            f"finite numbers. Received: shape={values.shape}, "
            f"singular_values={values}."
        )
    if np.any(values < 0.0):
        raise ValueError(
            "Expected `singular_values` not to be negative. "
            f"Received: a smallest value of {values.min()}."
        )
    _, exponent = np.frexp(values.max())
    return np.cumsum(np.ldexp(values, -exponent) ** 2)
