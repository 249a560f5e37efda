"""Scores by the distance to clusters of the target."""

import dataclasses

import numpy as np

from keras_basisprune.data.relevance.moments import Moments


@dataclasses.dataclass(frozen=True)
class ClusterScorer:
    """Minus the distance of each sample to the nearest centre.

    Attributes:
        mean: Array of shape `(features,)` that is subtracted from features.
        scale: Array that they are divided by then.
        centres: float64 array of shape `(clusters, features)` of such features.
    """

    mean: np.ndarray
    scale: np.ndarray
    centres: np.ndarray

    def __call__(self, block, start):
        """Returns scores of features of shape `(n, features)`.

        Args:
            block: The features.
            start: Position of the first of them in the source; of no effect.
        """
        from sklearn.metrics import pairwise_distances_argmin_min

        rows = (np.asarray(block, np.float64) - self.mean) / self.scale
        _, distances = pairwise_distances_argmin_min(rows, self.centres)
        return -distances / np.sqrt(rows.shape[1])


def fit_clusters(target, moments: Moments, clusters, seed) -> ClusterScorer:
    """Finds clusters of the target by k-means.

    Args:
        target: Array of shape `(n, features)`, features of (a sample of) the target.
        moments: The `Moments` by which features are standardized.
        clusters: Integer, at most `n`.
        seed: Integer.

    Returns:
        A `ClusterScorer`.
    """
    from sklearn.cluster import MiniBatchKMeans

    rows = (np.asarray(target, np.float64) - moments.mean) / moments.scale
    found = MiniBatchKMeans(clusters, n_init=3, random_state=seed).fit(rows)
    return ClusterScorer(moments.mean, moments.scale, found.cluster_centers_)
