"""Checks a span of time."""

import re

from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.shown import shown

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_TEXT = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?"
)


def check_duration(argument, value) -> float:
    """Returns a span of time in seconds.

    Args:
        argument: Name of the argument, for the message.
        value: A number of seconds, or a text such as `"90s"`, `"30m"` or `"1h30m"`.

    Raises:
        ValueError: If it is neither, or not above 0.
    """
    expected = "seconds above 0, or a text such as '90s', '30m' or '1h30m'"
    remedy = "1800 and '30m' are half an hour."
    if not isinstance(value, str):
        return check_number(argument, value, "(0, inf)", expected, remedy)
    found = _TEXT.fullmatch(value.strip())
    parts = {} if found is None else found.groupdict(default="0")
    seconds = sum(float(parts[unit]) * _UNITS[unit] for unit in parts)
    if seconds <= 0:
        raise ValueError(
            f"Expected `{argument}` to be {expected}. Received: "
            f"{argument}={shown(value)}. {remedy}"
        )
    return seconds
