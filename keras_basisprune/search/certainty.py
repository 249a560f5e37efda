"""How sure the loss is that a search has found."""


def certainty(baseline, trial) -> str:
    """Says how far the loss of the chosen network may be off, in a sentence.

    Args:
        baseline: Float, the original's score on the validation data.
        trial: The chosen `Trial`, or `None`.

    Returns:
        A string, empty where nothing was chosen.

    Example:

    >>> certainty(0.951, trials[chosen])
    'On the validation data 0.80 points were lost, with a standard error of 0.31. ...'
    """
    if trial is None:
        return ""
    lost = 100 * (baseline - trial.score)
    verb = "lost" if lost >= 0 else "gained"
    return (
        f"On the validation data {abs(lost):.2f} points were {verb}, with a standard "
        f"error of {100 * trial.error:.2f}. Other images of the same kind may show so "
        "much more or less, and rather the worse of the two: this is the smallest of "
        "many networks that were judged by these."
    )
