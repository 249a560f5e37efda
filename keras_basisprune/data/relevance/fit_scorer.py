"""Finds how to score, from features of the target and of some of the source."""

import numpy as np

from keras_basisprune.data.relevance.cluster_scorer import fit_clusters
from keras_basisprune.data.relevance.domain_scorer import fit_domain
from keras_basisprune.data.relevance.random_scorer import RandomScorer
from keras_basisprune.data.relevance.sampled_rows import sampled_rows

_SOURCE, _TARGET = 0, 1  # streams of random numbers


def fit_scorer(method, target, moments, rows, *, count, clusters, seed):
    """Returns a function that scores features of the source.

    Args:
        method: `"clusters"`, `"domain"` or `"random"`.
        target: float32 array of shape `(n, features)`, what `target_rows` returns.
        moments: `Moments` of the features of source and target.
        rows: Function of ascending positions that returns features of the source.
        count: Integer, the number of samples of the source.
        clusters: Integer, or `None` for 10, or fewer for a target of fewer samples.
        seed: Integer.

    Returns:
        A function of features and the position of the first of them, which returns
        scores. It can be pickled.
    """
    if method == "random":
        return RandomScorer(seed)
    if method == "clusters":
        if clusters is None:
            clusters = min(10, len(target))
        return fit_clusters(target, moments, clusters, seed)
    drawn = drawn_rows(count, seed)
    return fit_domain(target, moments, drawn, rows(drawn), seed)


def target_rows(values, seed) -> np.ndarray:
    """Returns features of the target, of a sample if there are many."""
    return np.asarray(values[sampled_rows(len(values), (seed, _TARGET))])


def drawn_rows(count, seed) -> np.ndarray:
    """Returns the positions in the source that a classifier is trained on."""
    return sampled_rows(count, (seed, _SOURCE))
