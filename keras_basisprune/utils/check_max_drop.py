"""A budget: how much of a score may be lost."""

import math

from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.shown import shown


def check_max_drop(max_drop) -> float | str | None:
    """Raises `ValueError` unless a budget is a number, a text such as `"1%"`, or None.

    Args:
        max_drop: Anything.

    Returns:
        It, in plain Python.
    """
    if max_drop is None:
        return None
    if isinstance(max_drop, str):
        try:
            share = float(max_drop.strip().removesuffix("%"))
        except ValueError:
            share = math.nan
        if not max_drop.strip().endswith("%") or not 0 <= share < 100:
            raise ValueError(
                "Expected `max_drop` to be a float, or a text such as '1%' for a share "
                f"of the original's score, below 100%. Received: "
                f"max_drop={shown(max_drop)}. 0.01 is one point of accuracy."
            )
        return max_drop.strip()
    expected = "a float of 0 or more, or a text such as '1%'"
    remedy = "0.01 is one point of accuracy."
    return check_number("max_drop", max_drop, "[0, inf)", expected, remedy)
