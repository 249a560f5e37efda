"""Budgets on the command line."""

from keras_basisprune.utils.check_max_drop import check_max_drop


def as_max_drop(text) -> float | str | None:
    """Returns a budget as `compress` takes it: a number, `"1%"`, or `None`.

    Args:
        text: What stands behind `--max_drop=`; `None` without one.

    Raises:
        ValueError: If it is neither.
    """
    if text is None:
        return None
    return check_max_drop(text if "%" in text else float(text))
