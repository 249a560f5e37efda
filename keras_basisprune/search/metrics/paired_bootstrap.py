"""Errors and bounds of a loss, by the paired bootstrap."""

import numpy as np

_DRAWS = 1000
_SLOW_DRAWS = 200


def paired_bootstrap(measure, before, after, confidence, seed=0, quick=True):
    """Estimates how far the loss of a score may be from that on all samples.

    Samples (or small groups of them) are drawn with replacement, the same ones for both
    networks. Source: Efron and Tibshirani 1993, *An Introduction to the Bootstrap*.

    Args:
        measure: A `Measure`.
        before: Its rows for the first network.
        after: Its rows for the second network, for the same samples.
        confidence: Float in (0.5, 1).
        seed: Integer.
        quick: Whether scores are cheap to compute, so that more can be drawn.

    Returns:
        A pair of floats: the standard error of the loss, and its upper bound; both
        infinite if there is one row only.
    """
    count = len(before)
    if count < 2:
        return np.inf, np.inf
    draws = _DRAWS if quick else _SLOW_DRAWS
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), draws).astype(float)
    was, is_now = (measure.value(weights @ rows) for rows in (before, after))
    losses = measure.sign * (was - is_now)
    losses = losses[np.isfinite(losses)]
    if len(losses) < 2:
        return np.inf, np.inf
    return float(losses.std(ddof=1)), float(np.quantile(losses, confidence))
