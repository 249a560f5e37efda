"""How good a network is, at least."""

import math


def lower_bound(task, score, error) -> float:
    """Returns a score minus the margin, so that more is better.

    Args:
        task: A `Task`, or a `Judge`.
        score: Float, in the metric's own unit.
        error: Float, its standard error.

    Returns:
        A float, to be compared with `task.min_score`. There is no margin if the error
        is not known (NaN).
    """
    least = task.sign * score
    return least if math.isnan(error) else least - task.margin * error
