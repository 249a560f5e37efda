"""Rules for attention: channels outside of the heads are followed."""

import weakref

import keras
import numpy as np

from keras_basisprune.graph.rules._attention_flops import (
    attention_flops,
    headed_attention_flops,
)
from keras_basisprune.graph.rules._kernels import columns
from keras_basisprune.graph.rules._projections import (
    ATTENTION,
    argument_order,
    projection,
    projection_path,
    projections,
)
from keras_basisprune.graph.rules._reads import Read, axis_first
from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


def _stop_unless_last(inputs, flow):
    """Stops channels that are not on the last axis, which attention reads."""
    ranks = [len(tensor.shape) for tensor in flow.call.input_tensors]
    if any(c.axis != rank - 1 for c, rank in zip(inputs, ranks, strict=True)):
        return flow.stop(inputs, f"`{flow.call.op.name}` reads across another axis")
    return None


def _scores(flow):
    """Pins the channels of attention scores: they are positions."""
    reason = f"positions that `{flow.call.op.name}` attends to"
    return [flow.pinned(tensor, reason) for tensor in flow.call.output_tensors[1:]]


@channel_rule(keras.layers.AdditiveAttention, keras.layers.Attention)
class AttentionRule(Rule):
    """Channels of query and key are multiplied pairwise; those of the value pass."""

    def weights(self, layer):
        """Names the scales of additive attention."""
        return ("scale",)

    def propagate(self, layer, inputs, flow):
        """Ties queries to keys. Masks are pinned."""
        if stopped := _stop_unless_last(inputs, flow):
            return stopped
        given = flow.call.args[0] if flow.call.args else flow.call.kwargs["inputs"]
        query, value, *others = inputs
        key = inputs[2] if len(given) > 2 else value
        for mask in others[len(given) - 2 :]:
            flow.pin(mask.ids, f"mask of `{layer.name}`")
        flow.unite(query.ids, key.ids)
        return [value, *_scores(flow)]

    def cut(self, layer, kept_in, kept_out):
        """Cuts the scales of additive attention."""
        scale = getattr(layer, "scale", None)
        if scale is None or not len(scale.shape):
            return {}, {}
        return {}, {"scale": kept_in[0].take(scale)}

    def flops(self, call, shapes):
        """Counts scores, and the sum of values."""
        return attention_flops(call, call.op, shapes)


@channel_rule(*ATTENTION)
class MultiHeadAttentionRule(Rule):
    """Projections of shape `(cin, heads, dim)` in, `(heads, dim, cout)` out.

    Heads are not changed.
    """

    def __init__(self):
        # The order of each layer's input tensors, which `cut` is not told: with
        # keywords, any is possible.
        self._orders = weakref.WeakKeyDictionary()

    def weights(self, layer):
        """Names kernels and biases of the projections."""
        parts = [
            f"{name}_dense" for name in ("query", "key", "value", "output", "gate")
        ]
        return [
            projection_path(layer, part, w)
            for part in parts
            for w in ("kernel", "bias")
        ]

    def propagate(self, layer, inputs, flow):
        """Creates new channels. Masks are pinned."""
        order = argument_order(flow.call)
        if stopped := _stop_unless_last(inputs, flow):
            return stopped
        if flow.notes.setdefault(id(layer), order) != order:
            return flow.stop(
                inputs, f"`{layer.name}` is called with different arguments"
            )
        self._orders[layer] = order
        output = flow.call.output_tensors[0]
        if len(projection(layer, "output_dense").shape) != 3:
            return flow.stop(inputs, f"`{layer.name}` outputs several channel axes")
        for name, source in zip(order, inputs, strict=True):
            if name not in ("query", "value", "key"):
                flow.pin(source.ids, f"`{name}` of `{layer.name}`")
        made = flow.make(output.shape[-1])
        if isinstance(layer, keras.layers.GroupQueryAttention):
            query, value = (inputs[order.index(name)] for name in ("query", "value"))
            flow.unite(made, query.ids)  # the layer requires equal numbers
            flow.unite(value.ids, query.ids)
        return [Channels(made, len(output.shape) - 1), *_scores(flow)]

    def cut(self, layer, kept_in, kept_out):
        """Cuts all projections at their outer ends."""
        kept = dict(zip(self._orders[layer], kept_in, strict=True))
        kept.setdefault("key", kept["value"])
        columns = kept_out[0]
        weights = {
            projection_path(layer, name): kept[source].take(projection(layer, name), 0)
            for source, names in projections(layer).items()
            for name in names
        }
        out = columns.take(projection(layer, "output_dense"))
        weights[projection_path(layer, "output_dense")] = out
        config = layer.get_config()
        if config["use_bias"]:
            bias = columns.take(projection(layer, "output_dense", "bias"))
            weights[projection_path(layer, "output_dense", "bias")] = bias
        sized = "output_shape" in config
        return {"output_shape": (len(columns),)} if sized else {}, weights

    def filters(self, layer):
        """Returns the columns of the output projection."""
        return columns(projection(layer, "output_dense"))

    def reads(self, layer, call):
        """Returns the projections that read each tensor, side by side."""
        given = dict(zip(argument_order(call), call.input_tensors, strict=True))
        given.setdefault("key", given["value"])
        found: dict[int, tuple] = {}
        for source, names in projections(layer).items():
            tensor = given[source]
            kernels = [axis_first(projection(layer, name), 0) for name in names]
            found.setdefault(id(tensor), (tensor, []))[1].extend(kernels)
        return [Read(tensor, np.hstack(kernels)) for tensor, kernels in found.values()]

    def flops(self, call, shapes):
        """Counts projections, scores, and the sum of values."""
        return headed_attention_flops(call, call.op, shapes)
