"""Importance of channels by the absolute weights of their filters."""

import keras
import numpy as np

from keras_basisprune.scores.channels._groups import filter_scores


def l1_norm(
    model: keras.Model, *, aggregate: str = "sum", normalize: str | None = None
) -> np.ndarray:
    """Scores each group of channels by `sum |w|` of the filters that compute them.

    Members of a group are the filters of convolutions (depthwise and grouped ones
    included), dense layers and embeddings, without bias; the pointwise filter of a
    separable convolution; the product of a basis and its scales. No data is needed.
    Time and memory are linear in the weights.

    Source: Li, Kadav, Durdanovic, Samet, Graf 2017, *Pruning Filters for Efficient
    ConvNets* (arXiv:1608.08710), section 3.1.

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

    >>> groups = keras_basisprune.graph.channel_groups(model)
    >>> scores = keras_basisprune.scores.channels.l1_norm(model)
    >>> scores[groups.layers["conv1"]]  # of each channel of that layer
    """
    return filter_scores(
        model, lambda w: np.abs(w).sum(axis=0), aggregate, normalize, "l1_norm"
    )
