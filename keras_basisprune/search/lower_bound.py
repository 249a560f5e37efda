"""How good a network is, at least."""


def lower_bound(task, score, error) -> float:
    """Returns a score minus the margin, so that more is better.

    Args:
        task: A `Task`.
        score: Float, in the metric's own unit.
        error: Float, its standard error.

    Returns:
        A float, to be compared with `task.min_score`; NaN if a margin is asked for and
        the error is not known.
    """
    least = task.sign * score
    return least - task.margin * error if task.margin else least
