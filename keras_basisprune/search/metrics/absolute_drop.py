"""How much of a score may be lost."""

from keras_basisprune.utils.check_number import check_number

_POINT, _PER_CENT = 0.01, "1%"


def absolute_drop(max_drop, measure, baseline) -> float:
    """Returns how much of a score may be lost, as a number.

    Args:
        max_drop: What `check_max_drop` returned; `None` for one point of a share, and
            for 1 % of the original's score where it is none.
        measure: The `Measure`.
        baseline: Float, the original's score.

    Raises:
        ValueError: If a share would lose all there is.
    """
    if max_drop is None:
        max_drop = _POINT if measure.share else _PER_CENT
    if isinstance(max_drop, str):
        return float(max_drop.removesuffix("%")) / 100 * abs(baseline)
    if measure.share:
        remedy = "0.01 is one point of accuracy."
        expected = "a float in [0, 1)"
        return check_number("max_drop", max_drop, "[0, 1)", expected, remedy)
    return max_drop
