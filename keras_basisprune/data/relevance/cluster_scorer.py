"""Scores by the distance to clusters of the target."""

import dataclasses

import numpy as np

from keras_basisprune.data.relevance.moments import Moments

_TINY = 1e-12  # as `keras.ops.normalize`


@dataclasses.dataclass(frozen=True)
class ClusterScorer:
    """Minus the distance of each sample to the nearest centre.

    Attributes:
        scale: Array of shape `(features,)` that features are divided by, before they
            are divided by their length.
        centres: float64 array of shape `(clusters, features)` of such features.
    """

    scale: np.ndarray
    centres: np.ndarray

    def __call__(self, block, start):
        """Returns scores of features of shape `(n, features)`.

        Args:
            block: The features.
            start: Position of the first of them in the source; of no effect.
        """
        from sklearn.metrics import pairwise_distances_argmin_min

        rows = _directions(block, self.scale)
        return -pairwise_distances_argmin_min(rows, self.centres)[1]


def fit_clusters(target, moments: Moments, clusters, seed) -> ClusterScorer:
    """Finds clusters of the target by k-means.

    Lengths differ by contrast and detail more than by content: distances of features
    that are not divided by their length rank bland images first.

    Args:
        target: Array of shape `(n, features)`, features of (a sample of) the target.
        moments: The `Moments` whose standard deviations features are divided by.
        clusters: Integer, at most `n`.
        seed: Integer.

    Returns:
        A `ClusterScorer`.
    """
    from sklearn.cluster import MiniBatchKMeans

    rows = _directions(target, moments.scale)
    found = MiniBatchKMeans(clusters, n_init=3, random_state=seed).fit(rows)
    return ClusterScorer(moments.scale, found.cluster_centers_)


def _directions(block, scale):
    """Returns features, scaled and divided by their length, as float64."""
    rows = np.asarray(block, np.float64) / scale
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY)
