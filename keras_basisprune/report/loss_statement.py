"""States the confidence interval of the chosen network's loss."""

from keras_basisprune.report.loss_bound import CONFIDENCE


def loss_statement(baseline, trial, images) -> str:
    """Returns a sentence on the chosen network's loss and its confidence bound.

    Args:
        baseline: Float, the original's score on the validation data.
        trial: The chosen `Trial`, or `None`.
        images: Integer, the number of validation images.

    Returns:
        A string, empty if no network was chosen.

    Example:

    >>> loss_statement(0.951, trials[chosen], 500)
    'On the 500 validation images 0.80 points were lost, with a standard error of ...'
    """
    if trial is None:
        return ""
    lost = 100 * (baseline - trial.score)
    verb = "gained" if lost < 0 else "lost"
    seen = f"the {images:,} validation images" if images > 1 else "one validation image"
    return (
        f"On {seen} {abs(lost):.2f} points were {verb}, with a standard error of "
        f"{100 * trial.error:.2f}; on other images of the same kind up to "
        f"{max(100 * trial.bound, 0):.2f} may be lost, with "
        f"{100 * CONFIDENCE:.0f} % confidence, and rather more than less: this is the "
        "smallest of many networks that were judged by these."
    )
