"""Times that count as equal."""

_TOLERANCE = 1.02  # 2 %: what one measurement differs from the next


def same_time(times) -> float:
    """Returns the largest time that counts as equal to the smallest of some."""
    return min(times) * _TOLERANCE
