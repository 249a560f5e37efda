"""States what the chosen network loses, on other images too."""

import math

from keras_basisprune.report.loss_bound import CONFIDENCE

# By how many standard errors the smallest of the networks that were judged by the same
# images loses more on others, on average (docs/results.md, budget on other images);
# rounds that start from one another add up as in a random walk.
_OPTIMISM = 1.0
_FINE = 0.25  # a standard error of this part of the budget resolves it well


def loss_statement(baseline, trial, images, max_drop, score=None) -> str:
    """Returns sentences on the chosen network's loss and its confidence bound.

    Args:
        baseline: Float, the original's score on the validation data.
        trial: The chosen `Trial`, or `None`.
        images: Integer, the number of validation images.
        max_drop: Float, the budget.
        score: A `Scorer`, for its `measure`; `None` for answers that are right or
            wrong.

    Returns:
        A string, empty if no network was chosen.

    Example:

    >>> loss_statement(0.951, trials[chosen], 500, 0.01)
    'On the 500 validation images 0.80 points were lost, with a standard error of ...'
    """
    if trial is None:
        return ""
    if score is not None and not score.measure.exact:
        return _of_metric(baseline, trial, images, score)
    lost, error = 100 * (baseline - trial.score), 100 * trial.error
    verb = "gained" if lost < 0 else "lost"
    seen = f"the {images:,} validation images" if images > 1 else "one validation image"
    expected = max(lost + _OPTIMISM * math.sqrt(trial.round) * error, 0)
    text = (
        f"On {seen} {abs(lost):.2f} points were {verb}, with a standard error of "
        f"{error:.2f}. Since this is the smallest of many networks that were judged by "
        f"these, a loss of about {expected:.2f} is to be expected on other images of "
        f"the same kind; up to {max(100 * trial.bound, 0):.2f} may be lost, with "
        f"{100 * CONFIDENCE:.0f} % confidence, and rather more than less."
    )
    if error > _FINE * 100 * max_drop > 0:
        needed = images * (error / (_FINE * 100 * max_drop)) ** 2
        power = 10 ** max(int(math.log10(needed)) - 1, 0)
        text += (
            f" About {math.ceil(needed / power) * power:,} images would bring the "
            "standard error to a quarter of the budget."
        )
    return text


def _of_metric(baseline, trial, images, score) -> str:
    """States the loss of a metric in its own unit."""
    lost = score.sign * (baseline - trial.score)
    verb = "worse" if lost > 0 else "better"
    text = (
        f"On the {images:,} validation samples {score.measure.text} went from "
        f"{baseline:.4g} to {trial.score:.4g}, {abs(lost):.4g} {verb}"
    )
    if not math.isfinite(trial.bound):
        return f"{text}; how much worse it may be on others is not known."
    return (
        f"{text}, with a standard error of {trial.error:.2g}; on other samples of the "
        f"same kind it may be {max(trial.bound, 0):.4g} worse, with "
        f"{100 * CONFIDENCE:.0f} % confidence, and rather more than less: this is the "
        "smallest of many networks that were judged by these."
    )
