"""Rules for layers and operations that move axes."""

import keras
import numpy as np

from keras_basisprune.graph.channels._base import Channels, Rule, channel_rule


@channel_rule(keras.layers.Flatten, keras.layers.Reshape)
class ReshapeRule(Rule):
    """Channels stay whole on one axis, or are repeated along it (Flatten)."""

    def propagate(self, layer, inputs, flow):
        """Follows each channel to its new places."""
        (source,) = inputs
        before = flow.call.input_tensors[0].shape
        after = flow.call.output_tensors[0].shape
        found = _reshaped(source, before, after, flow)
        if found is None:
            flow.pin(source.ids, f"`{layer.name}` takes their axis apart")
        return found

    def cut(self, layer, kept_in, kept_out):
        """Gives the new number of channels to the target shape."""
        kept = kept_out[0]
        if type(layer) is keras.layers.Flatten:
            return {}, {}
        target = list(layer.target_shape)
        if target[kept.axis - 1] != -1:
            target[kept.axis - 1] = len(kept)
        return {"target_shape": target}, {}


def _reshaped(source, before, after, flow):
    """The `Channels` of a reshaped tensor; `None` if they are not to be followed."""
    if None in before[1:] or None in after[1:]:
        last = len(before) - 1 == source.axis and before[-1] == after[-1]
        return Channels(source.ids, len(after) - 1) if last else None
    shape = [1] * (len(before) - 1)
    shape[source.axis - 1] = -1
    places = np.arange(len(source), dtype=np.int32).reshape(shape)
    places = np.broadcast_to(places, before[1:]).reshape(after[1:])
    axes = [a for a in range(places.ndim) if places.shape[a] > 1] or [places.ndim - 1]
    for axis in reversed(axes):
        line = _line(places, axis)
        if len(line) >= len(source) and (np.moveaxis(places, axis, -1) == line).all():
            return Channels(source.ids[line], axis + 1)
    if source.axis != 1 or len(before) != 2:
        return None
    # One axis that is split into several (Dense, then Reshape to a map): the last
    # axis has the channels, and what has the same position on it is tied.
    flow.unite(source.ids[places], source.ids[_line(places, places.ndim - 1)])
    return Channels(source.ids[_line(places, places.ndim - 1)], len(after) - 1)


def _line(places, axis):
    """What stands along an axis at the first position of all others."""
    return np.moveaxis(places, axis, -1).reshape(-1, places.shape[axis])[0]


@channel_rule(keras.layers.Permute)
class PermuteRule(Rule):
    """The channel axis moves."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Finds the axis again."""
        return Channels(inputs[0].ids, layer.dims.index(inputs[0].axis) + 1)


@channel_rule(keras.layers.RepeatVector)
class RepeatVectorRule(Rule):
    """A vector is repeated along a new axis before it."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Channels are the last of three axes."""
        return Channels(inputs[0].ids, 2)
