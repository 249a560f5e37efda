"""Ranges in which zero is one of the numbers that values are rounded to."""

_SMALLEST = 1e-6  # width of a range


def exact_range(low, high, bits) -> tuple[float, float]:
    """Moves a range by less than a step, so that it holds zero exactly.

    Args:
        low: Its lower bound, a number.
        high: Its upper bound.
        bits: Integer; beyond 8, the range is made symmetric, as LiteRT's 16 bits are.

    Returns:
        The new bounds.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    high = max(high, low + _SMALLEST)
    if bits > 8:
        high = max(high, -low)
        return -high, high
    steps = 2**bits - 1
    scale = (high - low) / steps
    zero = round(-low / scale)
    return -zero * scale, (steps - zero) * scale
