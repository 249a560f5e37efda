"""Importance of bases by the change of the loss without them."""

from typing import Any

import keras
import numpy as np

from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask
from keras_basisprune.scores.squared_changes import squared_changes
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data


def taylor(
    model: keras.Model, data: Data, *, loss: Any, batch_size: int = 32
) -> dict[str, np.ndarray]:
    """Scores each basis by `E[(s_i dL/ds_i)^2]`, the change of the loss without it.

    First-order Taylor estimate, averaged over the batches of `data`. Gradients come
    from Keras' own training loop, so that every backend works; no weight is changed,
    BatchNormalization runs in inference (dropout as in training), and the
    regularization of scales is ignored. The cost is that of one training epoch over
    `data` and a second copy of the model.

    Source: Molchanov, Mallya, Tyree, Frosio, Kautz 2019, *Importance Estimation for
    Neural Network Pruning*, section 3.1.

    Args:
        model: A converted model, or one with other `layers.TrainedMask`s.
        data: A pair `(x, y)` or triple `(x, y, sample_weight)` of arrays, or anything
            else that `Model.fit` accepts.
        loss: The loss, as for `Model.compile`.
        batch_size: Integer, samples per batch if `data` are arrays. The gradient is
            averaged over a batch before it is squared; all batches have equal weight.

    Returns:
        A dict from the name of each decomposed layer to a float64 array of shape
        `(rank,)`, not negative. Masked bases score 0.

    Raises:
        ValueError: If the model is not converted, or if no batch has finite gradients.

    Example:

    >>> scores = keras_basisprune.scores.taylor(
    ...     model, (x[:512], y[:512]), loss="sparse_categorical_crossentropy")
    """
    batch_size = check_whole("batch_size", batch_size)
    twin = flatten(model)
    check_finite_weights(model)
    masks = trained_masks(trace(twin), model.name)
    for layer in twin.layers:
        layer.trainable = isinstance(layer, TrainedMask)
    scales = [weighed.layer.scale for weighed in masks.values()]
    for scale in scales:
        scale.regularizer = None
    changes = squared_changes(twin, scales, data, loss, batch_size)
    return {
        name: change * weighed.mask
        for (name, weighed), change in zip(masks.items(), changes, strict=True)
    }
