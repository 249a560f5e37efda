"""The standard error of a score, by the bootstrap."""

import numpy as np

_DRAWS = 200


def bootstrap_error(measure, rows, seed=0) -> float:
    """Estimates the standard error of the score of one network.

    Samples (or small groups of them) are drawn with replacement. Source: Efron and
    Tibshirani 1993, *An Introduction to the Bootstrap*.

    Args:
        measure: A `Measure`.
        rows: Array of shape `(samples, sums)`, what `measure.rows` returned.
        seed: Integer.

    Returns:
        A float; infinite if there is one row only.
    """
    count = len(rows)
    if count < 2:
        return np.inf
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), _DRAWS)
    scores = measure.value(weights.astype(float) @ rows)
    scores = scores[np.isfinite(scores)]
    return float(scores.std(ddof=1)) if len(scores) > 1 else np.inf
