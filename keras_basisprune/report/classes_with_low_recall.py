"""Classes whose recall is much lower than with the original."""

from keras_basisprune.report.loss_bound import CONFIDENCE, loss_bound

_SHOWN = 5


def classes_with_low_recall(rows, max_drop) -> str:
    """Names the classes that lost far more than the budget, which counts all images.

    These are the classes that are no longer found at all, and those whose recall has
    fallen by more than `max_drop` with 95 % confidence for all classes together.

    Args:
        rows: What `Scorer.recall` returned.
        max_drop: Float, the budget.

    Returns:
        A string, empty if there are no such classes.

    Example:

    >>> classes_with_low_recall(score.recall(small), 0.01)
    'Recall fell by far more than the budget in class 7 (1.00 to 0.25, 12 images).'
    """
    confidence = 1 - (1 - CONFIDENCE) / max(len(rows), 1)  # Bonferroni
    fallen = [row for row in rows if _is_lost(row, max_drop, confidence)]
    fallen.sort(key=lambda row: row["after"] - row["before"])
    told = [
        f"class {row['class']} ({row['before']:.2f} to {row['after']:.2f}, "
        f"{row['images']} image{'s' * (row['images'] > 1)})"
        for row in fallen[:_SHOWN]
    ]
    if fallen[_SHOWN:]:
        told.append(f"{len(fallen) - _SHOWN} more")
    if not told:
        return ""
    return f"Recall fell by far more than the budget in {', '.join(told)}."


def _is_lost(row, max_drop, confidence) -> bool:
    if row["before"] > row["after"] == 0:
        return True
    bound = loss_bound(row["gained"], row["lost"], row["images"], confidence)
    return -bound > max_drop
