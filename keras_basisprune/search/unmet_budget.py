"""Explains that no network meets the budget."""


def unmet_budget(task, baseline, trials) -> str:
    """Returns a warning that no network is good enough, with what would help.

    Args:
        task: A `Task`.
        baseline: Float, the original's score.
        trials: A sequence of `Trial`.

    Returns:
        A string.
    """
    best = max((t.score for t in trials if t.score == t.score), default=None)
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
        f"original scores {baseline:.4f}, the best of {len(trials)} smaller networks "
        f"{best:.4f}. The original is returned, folded. Allow a larger drop, or "
        "training (`recover='all'`)."
    )
