"""Importance of channels by the distances of their filters to all others."""

import keras
import numpy as np

from keras_basisprune.scores.channels._groups import filter_scores


def fpgm(
    model: keras.Model, *, aggregate: str = "sum", normalize: str | None = None
) -> np.ndarray:
    """Scores each group of channels by the distances of their filters to the others.

    A filter's score is the sum of its Euclidean distances to the other filters of its
    layer. Those near the geometric median score lowest: others can replace them.
    Members of a group are as in `l1_norm`. No data is needed. Time is that of one
    product `cout x n x cout` per layer, for filters of `n` weights.

    Source: He, Liu, Wang, Hu, Yang 2019, *Filter Pruning via Geometric Median for Deep
    Convolutional Neural Networks Acceleration* (arXiv:1811.00250).

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        aggregate: `"sum"`, `"mean"` or `"max"` over the members of a group. Layers that
            are called several times count once; channels of one layer that are tied
            to each other are counted separately.
        normalize: `"mean"` or `"max"` to divide each layer's scores by their mean or
            largest first, so that layers of different sizes can be compared. `None`
            (default) doesn't.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`. `inf` for groups that
        can't be removed and, with a warning that names their layers, for those without
        a member: their layers have a rule (`channel_rule`), but no known filters.

    Raises:
        ValueError: If an argument is unknown, a weight is not finite, or the model is
            subclassed or not built.

    Example:

    >>> scores = keras_basisprune.scores.channels.fpgm(model, normalize="mean")
    """
    return filter_scores(model, _distances, aggregate, normalize, "fpgm")


def _distances(filters):
    """Returns the sums of the distances between columns."""
    filters = filters - filters.mean(axis=1, keepdims=True)  # rounding stays small
    products = filters.T @ filters
    squares = np.diag(products)
    between = squares[:, None] + squares - 2 * products
    return np.sqrt(np.maximum(between, 0)).sum(axis=0)
