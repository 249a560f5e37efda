"""Scores by a classifier that tells the target from the source."""

import dataclasses

import numpy as np

from keras_basisprune.data.relevance.moments import Moments

_FOLDS = 3
_INVERSE_PENALTY = 0.001  # `C` of scikit-learn


@dataclasses.dataclass(frozen=True)
class DomainScorer:
    """The log-odds that a sample is one of the target.

    No sample of the source is scored by a classifier that was trained on it: of the
    `folds` classifiers, the one of its fold scores a sample that was drawn to train on;
    their mean scores all others.

    Attributes:
        mean: Array of shape `(features,)` that is subtracted from features.
        scale: Array that they are divided by then.
        weights: float64 array of shape `(features, folds)`.
        biases: float64 array of shape `(folds,)`.
        drawn: int64 array, ascending positions in the source of samples trained on.
        folds: int64 array, the fold of each of these.
    """

    mean: np.ndarray | float
    scale: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    drawn: np.ndarray
    folds: np.ndarray

    def __call__(self, block, start):
        """Returns scores of features of shape `(n, features)`.

        Args:
            block: The features.
            start: Position of the first of them in the source.
        """
        rows = (np.asarray(block, np.float64) - self.mean) / self.scale
        odds = rows @ self.weights + self.biases
        found = odds.mean(axis=1)
        first, last = np.searchsorted(self.drawn, (start, start + len(rows)))
        own = self.drawn[first:last] - start
        found[own] = odds[own, self.folds[first:last]]
        return found


def fit_domain(target, moments: Moments, drawn, rows, seed) -> DomainScorer:
    """Trains classifiers of the source against the target.

    Args:
        target: Array of shape `(n, features)`, features of (a sample of) the target.
        moments: The `Moments` by which features are standardized.
        drawn: int64 array, ascending positions of samples of the source.
        rows: Array of their features.
        seed: Integer.

    Returns:
        A `DomainScorer`.
    """
    from sklearn.linear_model import LogisticRegression

    target = (np.asarray(target, np.float64) - moments.mean) / moments.scale
    source = (np.asarray(rows, np.float64) - moments.mean) / moments.scale
    folds = np.random.default_rng((seed, 2)).permutation(len(drawn)) % _FOLDS
    weights, biases = [], []
    for fold in range(_FOLDS):
        others = source[folds != fold] if len(source) > _FOLDS else source
        labels = np.repeat((0, 1), (len(others), len(target)))
        found = LogisticRegression(
            C=_INVERSE_PENALTY, class_weight="balanced", tol=1e-8, max_iter=1000
        ).fit(np.concatenate([others, target]), labels)
        weights.append(found.coef_[0])
        biases.append(found.intercept_[0])
    return DomainScorer(
        moments.mean,
        moments.scale,
        np.stack(weights, axis=1),
        np.array(biases),
        drawn,
        folds,
    )
