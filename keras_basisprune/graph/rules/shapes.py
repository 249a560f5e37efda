"""Rules for layers and operations that move axes."""

import math

import keras
import numpy as np

from keras_basisprune.graph.rules.flow import Channels, axes_of
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


@channel_rule(keras.layers.Reshape, "Reshape")
class ReshapeRule(Rule):
    """Channels remain on one axis, or are repeated along it."""

    def weights(self, layer):
        """Names none: the layer has no weights."""
        return ()

    def propagate(self, layer, inputs, flow):
        """Follows each channel to its new places."""
        before = flow.call.input_tensors[0].shape
        return _followed(layer, inputs[0], before, flow)

    def cut(self, layer, kept_in, kept_out):
        """Puts the new number of channels into the target shape."""
        kept = kept_out[0]
        name = "newshape" if hasattr(layer, "newshape") else "target_shape"
        shape = list(getattr(layer, name))
        place = kept.axis - (name == "target_shape")  # it lacks the batch axis
        if shape[place] != -1:
            shape[place] = len(kept)
        return {name: shape}, {}


@channel_rule(keras.layers.Flatten)
class FlattenRule(Rule):
    """Channels are repeated along one axis."""

    free = True
    scales = "any"

    def propagate(self, layer, inputs, flow):
        """Follows each channel to its new places."""
        (source,) = inputs
        before = flow.call.input_tensors[0].shape
        if flow.channel_axis(flow.call.input_tensors[0]) == 1 and len(before) > 2:
            # The layer moves the second axis to the end first.
            before = (before[0], *before[2:], before[1])
            source = Channels(source.ids, (source.axis - 2) % (len(before) - 1) + 1)
        return _followed(layer, source, before, flow)


def _followed(layer, source, before, flow):
    """Returns the `Channels` of a reshaped tensor; pins them if they get lost."""
    after = flow.call.output_tensors[0].shape
    if not (source.axis and before[0] == after[0]):
        return flow.stop([source], f"`{layer.name}` changes the batch axis")
    found = _reshaped(source, before, after, flow)
    if found is None:
        return flow.stop([source], f"`{layer.name}` takes their axis apart")
    return found


def _reshaped(source, before, after, flow):
    """Returns the `Channels` of a reshaped tensor; `None` if they can't be followed."""
    unknown = None in before[1:] or None in after[1:]
    if unknown or math.prod(before[1:]) != math.prod(after[1:]):
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
    # axis has the channels, and those with the same position on it are tied.
    flow.unite(source.ids[places], source.ids[_line(places, places.ndim - 1)])
    return Channels(source.ids[_line(places, places.ndim - 1)], len(after) - 1)


def _line(places, axis):
    """Returns the values along an axis, at the first position of all others."""
    return np.moveaxis(places, axis, -1).reshape(-1, places.shape[axis])[0]


@channel_rule(keras.layers.Permute)
class PermuteRule(Rule):
    """The channel axis moves."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Finds the new place of the channel axis."""
        return Channels(inputs[0].ids, layer.dims.index(inputs[0].axis) + 1)


@channel_rule("Moveaxis", "Swapaxes", "Transpose")
class TransposeRule(Rule):
    """The channel axis moves; these operators count the batch axis."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Finds the new place of the channel axis, if the batch axis remains first."""
        order = self._order(layer, len(flow.call.input_tensors[0].shape))
        if order[0]:
            return flow.stop(inputs, f"`{layer.name}` moves the batch axis")
        return Channels(inputs[0].ids, order.index(inputs[0].axis))

    def _order(self, layer, rank):
        order = list(range(rank))
        if hasattr(layer, "axis1"):
            a, b = layer.axis1, layer.axis2
            order[a], order[b] = order[b], order[a]
        elif hasattr(layer, "source"):
            # An empty array has axes, but needs no memory.
            numbered = np.empty([*range(1, rank + 1), 0])
            ends = [axes_of(a, rank) for a in (layer.source, layer.destination)]
            moved = np.moveaxis(numbered, *ends)
            order = [size - 1 for size in moved.shape[:rank]]
        else:
            order = axes_of(layer.axes, rank) if layer.axes else order[::-1]
        return order


@channel_rule("ExpandDims")
class ExpandDimsRule(Rule):
    """New axes of size 1."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Finds the new place of the channel axis."""
        rank = len(flow.call.output_tensors[0].shape)
        new = axes_of(layer.axis, rank)
        if 0 in new:
            return flow.stop(inputs, f"`{layer.name}` moves the batch axis")
        old = [axis for axis in range(rank) if axis not in new]
        return Channels(inputs[0].ids, old[inputs[0].axis])


@channel_rule("Squeeze")
class SqueezeRule(Rule):
    """Axes of size 1 are removed."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Finds the new place of the channel axis, unless it is removed."""
        rank = len(flow.call.input_tensors[0].shape)
        gone = axes_of(layer.axis, rank)
        if layer.axis is None:  # a channel axis with one kept channel would be removed
            return flow.stop(inputs, f"`{layer.name}` does not say its `axis`")
        if inputs[0].axis in gone or 0 in gone:
            return flow.stop(inputs, f"`{layer.name}` removes their axis")
        before = [axis for axis in range(rank) if axis not in gone]
        return Channels(inputs[0].ids, before.index(inputs[0].axis))


@channel_rule(keras.layers.RepeatVector)
class RepeatVectorRule(Rule):
    """A vector is repeated along a new axis before it."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Passes channels on, as the last of three axes."""
        return Channels(inputs[0].ids, 2)
