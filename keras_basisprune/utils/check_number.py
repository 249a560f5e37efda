"""Numbers among the arguments."""

import numbers

from keras_basisprune.utils.shown import dtype_name, shown


def check_number(argument, value, interval, expected="", remedy="") -> float:
    """Raises `ValueError` unless a value is a number in an interval.

    Args:
        argument: Name of the argument, for the message.
        value: What should be a real number, of Python or NumPy, or an array without
            axes. Booleans are not accepted.
        interval: The interval, in the usual notation: `"(0, 1]"`, `"[0, inf)"`.
        expected: What was expected, in words. Defaults to a number in the interval.
        remedy: A sentence that says what to pass.

    Returns:
        The number, as a `float`.
    """
    if is_number(value, interval):
        return _number(value)  # type: ignore[return-value]
    raise ValueError(
        f"Expected `{argument}` to be {expected or f'a number in {interval}'}. "
        f"Received: {argument}={shown(value)}. {remedy}".rstrip()
    )


def is_number(value, interval) -> bool:
    """Returns whether a value is a number in an interval."""
    number = _number(value)
    return number is not None and _inside(number, interval)


def _number(value) -> float | None:
    kind = dtype_name(value)
    array = getattr(value, "shape", None) == () and kind[:3] in ("int", "uin", "flo")
    if isinstance(value, bool) or kind == "bool":
        return None
    if not isinstance(value, numbers.Real) and not array:
        return None
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return None


def _inside(number, interval) -> bool:
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = number >= low if interval[0] == "[" else number > low
    return above and (number <= high if interval[-1] == "]" else number < high)
