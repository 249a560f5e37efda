"""Importance of channels by the factors of BatchNormalization."""

import keras
import numpy as np

from keras_basisprune.graph.rules import unwrapped
from keras_basisprune.scores.channels._groups import Groups


def bn_scale(
    model: keras.Model, *, aggregate: str = "sum", normalize: str | None = None
) -> np.ndarray:
    """Scores each group of channels by `|gamma|` of their BatchNormalization.

    This is meant for models trained with L1 regularization of the factors; see
    `keras_basisprune.methods.slimming`. No data is needed. Time is linear in the
    number of channels.

    Source: Liu, Li, Shen, Huang, Yan, Zhang 2017, *Learning Efficient Convolutional
    Networks through Network Slimming* (arXiv:1708.06519), section 3.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        aggregate: `"sum"`, `"mean"` or `"max"` over the members of a group, which are
            its factors. Layers that are called several times count once; factors of
            one layer that are tied to each other are counted separately.
        normalize: `"mean"` or `"max"` to divide each layer's scores by their mean or
            largest first. `None` (default) doesn't, as in the paper.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`. `inf` for groups that
        can't be removed and, with a warning that names their layers, for those that no
        BatchNormalization has a factor for.

    Raises:
        ValueError: If an argument is unknown, a weight is not finite, or the model is
            subclassed or not built.

    Example:

    >>> scores = keras_basisprune.scores.channels.bn_scale(model)
    """
    groups = Groups(model, aggregate, normalize)
    for call, *_ in groups.layers():
        layer, _ = unwrapped(call.op)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale:
            gamma = keras.ops.convert_to_numpy(layer.gamma)
            groups.add(call, np.abs(gamma.astype(np.float64)))
    return groups.scores("bn_scale", "that no BatchNormalization has a factor for")
