"""Rules for operators that work along some axes: reductions, slices, padding."""

import keras

from keras_basisprune.graph.rules.flow import Channels, axes_of
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


@channel_rule(
    keras.layers.Softmax,
    "Cumprod",
    "Cumsum",
    "LogSoftmax",
    "Roll",
    "Softmax",
    "Sort",
    "Sparsemax",
)
class AlongRule(Rule):
    """Channels pass if the operator works along another axis."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Pins channels along whose axis the operator works."""
        axes = axes_of(layer.axis, len(flow.call.input_tensors[0].shape))
        if inputs[0].axis in axes:
            flow.pin(inputs[0].ids, f"`{layer.name}` reads across channels")
        return inputs[0]


@channel_rule(
    "All",
    "Amax",
    "Amin",
    "Any",
    "Argmax",
    "Argmin",
    "CountNonzero",
    "Logsumexp",
    "Max",
    "Mean",
    "Median",
    "Min",
    "Nanmax",
    "Nanmean",
    "Nanmin",
    "Nansum",
    "Nanvar",
    "Prod",
    "Ptp",
    "Std",
    "Sum",
    "Var",
)
class ReductionRule(Rule):
    """Axes are reduced to one number."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Finds the new place of the channel axis, unless it is reduced."""
        (source,) = inputs
        rank = len(flow.call.input_tensors[0].shape)
        gone = axes_of(layer.axis, rank)
        if source.axis in gone:
            return flow.stop(inputs, f"`{layer.name}` reads across channels")
        if getattr(layer, "keepdims", False):
            return source
        if 0 in gone:
            return flow.stop(inputs, f"`{layer.name}` reads across the batch")
        left = [axis for axis in range(rank) if axis not in gone]
        return Channels(source.ids, left.index(source.axis))


@channel_rule("Flip")
class FlipRule(Rule):
    """Axes are reversed."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Reverses the channels if their axis is reversed."""
        (source,) = inputs
        axes = axes_of(layer.axis, len(flow.call.input_tensors[0].shape))
        turned = source.axis in axes
        return Channels(source.ids[::-1], source.axis) if turned else source


@channel_rule("Pad")
class PadRule(Rule):
    """Axes grow at both ends."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Stops where channels would be added."""
        (source,) = inputs
        if flow.axis_size(source.axis) != len(source):
            return flow.stop(inputs, f"`{layer.name}` adds channels")
        return source


@channel_rule("Split", "ArraySplit")
class SplitRule(Rule):
    """Parts along another axis each have all channels."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Stops where channels would be split."""
        rank = len(flow.call.input_tensors[0].shape)
        if layer.axis % rank == inputs[0].axis:
            return flow.stop(inputs, f"`{layer.name}` parts them")
        return inputs * len(flow.call.output_tensors)


@channel_rule("GetItem")
class SliceRule(Rule):
    """`x[key]` with integers, slices, `None` and an ellipsis."""

    free = True

    def propagate(self, layer, inputs, flow):
        """Takes the same part of the channels."""
        (source,) = inputs
        key = _expanded(flow.call)
        reason = f"`{layer.name}` takes them apart"
        if key is None or not isinstance(key[0], slice):
            return flow.stop(inputs, reason)
        read = [part for part in key if part is not None]
        taken = read[source.axis]
        if not isinstance(taken, slice):
            return flow.stop(inputs, reason)
        ids = source.ids[taken]
        whole = taken.step == -1 and len(ids) == len(source)
        if not (taken.step in (None, 1) or whole):
            return flow.stop(inputs, reason)
        place = _place(key, source.axis)
        left = [part for part in key[:place] if not isinstance(part, int)]
        return Channels(ids, len(left))

    def arguments(self, call, kept_in, kept_out):
        """Adapts the slice of channels to the kept ones."""
        kept, key = kept_in[0], list(_expanded(call))
        place = _place(key, kept.axis)
        start, stop, step = key[place].indices(kept.total)
        if step == 1:
            ends = [int((kept.indices < end).sum()) for end in (start, stop)]
            key[place] = slice(*ends)
        return (call.input_tensors[0], tuple(key)), {}


def _expanded(call):
    """Returns one part of the key per axis, and `None` where an axis is added.

    Returns `None` for a key with other parts, such as arrays.
    """
    key = call.args[1] if len(call.args) > 1 else call.kwargs["key"]
    key = list(key) if isinstance(key, list | tuple) else [key]
    if not all(part is None or isinstance(part, _PARTS) for part in key):
        return None
    if not any(part is Ellipsis for part in key):
        key.append(Ellipsis)
    place = next(i for i, part in enumerate(key) if part is Ellipsis)
    others = sum(part is not None for part in key) - 1
    rank = len(call.input_tensors[0].shape)
    key[place : place + 1] = [slice(None)] * (rank - others)
    return key


_PARTS = int | slice | type(Ellipsis)


def _place(key, axis):
    """Returns the position in a key of the part for an axis."""
    return [i for i, part in enumerate(key) if part is not None][axis]
