"""Importance of channels by the change of the loss without them."""

from typing import Any

import keras
import numpy as np

from keras_basisprune.scores.channels._groups import Groups
from keras_basisprune.scores.channels._probe import ends, rebuild
from keras_basisprune.scores.squared_changes import squared_changes
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data


def taylor(
    model: keras.Model,
    data: Data,
    *,
    loss: Any,
    aggregate: str = "sum",
    normalize: str | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Scores each group of channels by `E[(g dL/dg)^2]` of gates `g = 1` on them.

    This is a first-order Taylor estimate of the change of the loss when a channel
    becomes zero, squared and averaged over the batches of `data`. It equals the squared
    sum of `activation * gradient` over positions and samples of a batch. Gates are
    inserted, in a copy of the model, after each layer that computes channels or has
    filters for each (depthwise ones), and after the BatchNormalization and the
    activation that follow it. Gradients come from Keras' own training loop, so that
    every backend works; no weight is changed, BatchNormalization runs in inference
    (dropout as in training). The cost is that of one training epoch over `data` and two
    copies of the model's graph.

    Source: Molchanov, Mallya, Tyree, Frosio, Kautz 2019, *Importance Estimation for
    Neural Network Pruning* (arXiv:1906.10771), section 3, with gates.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        data: A tuple `(x, y)` or `(x, y, sample_weight)` of arrays, or anything else
            that `Model.fit` accepts.
        loss: The loss, as for `Model.compile`.
        aggregate: `"sum"`, `"mean"` or `"max"` over the members of a group, which are
            its gates. Layers that are called several times have one gate per channel;
            channels of one layer that are tied to each other are counted separately.
        normalize: `"mean"` or `"max"` to divide each layer's scores by their mean or
            largest first. `None` (default) doesn't.
        batch_size: Integer, samples per batch if `data` are arrays. The gradient is
            averaged over a batch before it is squared; all batches have equal weight.

    Returns:
        A float64 array of shape `(len(channel_groups(model)),)`. `inf` for groups that
        can't be removed.

    Raises:
        ValueError: If an argument is out of its range, the model is subclassed or not
            built, or no batch has finite gradients.

    Example:

    >>> scores = keras_basisprune.scores.channels.taylor(
    ...     model, (x[:512], y[:512]), loss="sparse_categorical_crossentropy")
    """
    batch_size = check_whole("batch_size", batch_size)
    groups = Groups(model, aggregate, normalize)
    makers = groups.makers()
    if not makers:
        return groups.scores("taylor", "whose weights are not known")
    gates: dict[int, _ChannelGate] = {}
    gated = ends(groups.traced, makers)

    def change(before, after, free):
        if id(before) not in gated:
            return after
        number = gated[id(before)]
        if number not in gates:
            gates[number] = _gate(makers[number][0], groups, free)
        return gates[number](after)

    twin = keras.Model(*rebuild(model, groups.traced, change), name=model.name)
    for layer in twin.layers:
        layer.trainable = isinstance(layer, _ChannelGate)
    variables = [gates[number].gate for number in range(len(makers))]
    squares = squared_changes(twin, variables, data, loss, batch_size)
    for calls, square in zip(makers, squares, strict=True):
        groups.add(calls[0], square)
    return groups.scores("taylor", "whose weights are not known")


def _gate(call, groups, free):
    axis = groups.channels.tensors[id(call.output_tensors[0])].axis
    name = free(f"{call.op.name}_gate")
    return _ChannelGate(axis, dtype=call.op.dtype_policy, name=name)


class _ChannelGate(keras.layers.Layer):
    """Multiplies each channel by a trainable factor, initially 1."""

    def __init__(self, axis, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def build(self, input_shape):
        self.gate = self.add_weight(
            name="gate", shape=(input_shape[self.axis],), initializer="ones"
        )

    def call(self, inputs):
        shape = [1] * len(inputs.shape)
        shape[self.axis] = -1
        return inputs * keras.ops.reshape(self.gate, shape)
