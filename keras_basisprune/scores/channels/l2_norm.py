"""Importance of channels by the Euclidean length of their filters."""

import keras
import numpy as np

from keras_basisprune.scores.channels._groups import filter_scores


def l2_norm(
    model: keras.Model, *, aggregate: str = "sum", normalize: str | None = None
) -> np.ndarray:
    """Scores each group of channels by `sqrt(sum w^2)` of the filters.

    Members of a group are as in `l1_norm`. No data is needed. Time and memory are
    linear in the weights.

    Source: He, Kang, Dong, Fu, Yang 2018, *Soft Filter Pruning for Accelerating Deep
    Convolutional Neural Networks* (arXiv:1808.06866), section 3.2.

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

    >>> scores = keras_basisprune.scores.channels.l2_norm(model, normalize="mean")
    """
    return filter_scores(
        model, lambda w: np.linalg.norm(w, axis=0), aggregate, normalize, "l2_norm"
    )
