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
    'On the validation data 0.80 points were lost, with a standard error of 0.31: ...'
    """
    if trial is None:
        return ""
    lost = 100 * (baseline - trial.score)
    return (
        f"On the validation data {lost:.2f} points were lost, with a standard error of "
        f"{100 * trial.error:.2f}: on other images of the same kind it is more or less "
        "by so much, and rather more, as this is the smallest of many networks."
    )
