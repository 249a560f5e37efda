"""Explains that no network meets the budget."""

from keras_basisprune.search.progress import shown_score


def unmet_budget(task, baseline, trials) -> str:
    """Returns a warning that no network is good enough, with what would help.

    Args:
        task: A `Task`.
        baseline: Float, the original's score.
        trials: A sequence of `Trial`.

    Returns:
        A string.
    """
    scores = [trial.score for trial in trials if trial.score == trial.score]
    best = max(scores, key=lambda score: task.sign * score, default=None)
    if best is None:
        return (
            f"The budget of max_drop={task.max_drop} could not be met: none of the "
            f"{len(trials)} sizes that were tried can be reached with what may be "
            "removed from this network (`channel_groups(model)` and `describe(model)` "
            "say why the rest is kept). The original is returned, folded."
        )
    margin = f" by {task.margin:g} standard errors" if task.margin else ""
    return (
        f"The budget of max_drop={task.max_drop} could not be met{margin}: the "
        f"original scores {shown_score(baseline)}, the best of {len(trials)} smaller "
        f"networks {shown_score(best)}. The original is returned, folded. Allow a "
        "larger drop, or training (`recover='all'`)."
    )
