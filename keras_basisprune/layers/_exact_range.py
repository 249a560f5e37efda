"""Ranges in which zero is one of the numbers that values are rounded to."""

import numpy as np

_SMALLEST = 1e-6  # width of a range


def exact_range(low, high, bits) -> tuple[float, float]:
    """Moves a range by less than a step, so that it holds zero exactly.

    Args:
        low: Its lower bound, a number.
        high: Its upper bound.
        bits: Integer; beyond 8, zero is in the middle, as in LiteRT's 16 bits.

    Returns:
        The new bounds.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    high = max(high, low + _SMALLEST)
    if bits > 8:
        steps = 2 ** (bits - 1)
        high = max(high, -low)
        return -high * steps / (steps - 1), high
    steps = 2**bits - 1
    # In float32, as layers compute: -low / scale may be as good as halfway.
    zero = float(
        np.round(-np.float32(low) / (np.float32(high - low) / np.float32(steps)))
    )
    scale = (high - low) / steps
    return -zero * scale, (steps - zero) * scale
