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
from keras_basisprune.graph.rules._reads import Read, front
from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


def _stop_unless_last(inputs, flow):
    """Says why channels are not followed: attention reads the last axis."""
    ranks = [len(tensor.shape) for tensor in flow.call.input_tensors]
    if any(c.axis != rank - 1 for c, rank in zip(inputs, ranks, strict=True)):
        return flow.stop(inputs, f"`{flow.call.op.name}` reads across another axis")
    return None


def _scores(flow):
    """The channels of attention scores: positions, which stay."""
    reason = f"positions that `{flow.call.op.name}` attends to"
    return [flow.pinned(tensor, reason) for tensor in flow.call.output_tensors[1:]]


@channel_rule(keras.layers.AdditiveAttention, keras.layers.Attention)
class AttentionRule(Rule):
    """Channels of query and key meet each other; those of the value pass."""

    def weights(self, layer):
        """The scales of additive attention."""
        return ("scale",)

    def propagate(self, layer, inputs, flow):
        """Ties queries to keys. Masks stay as they are."""
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
        """Scores, and the sum of values."""
        return attention_flops(call, call.op, shapes)


@channel_rule(*ATTENTION)
class MultiHeadAttentionRule(Rule):
    """Projections of shape `(cin, heads, dim)` in, `(heads, dim, cout)` out.

    Heads stay as they are.
    """

    def __init__(self):
        # In which order a layer is given its tensors, which `cut` is not told: by
        # keyword, any is possible.
        self._orders = weakref.WeakKeyDictionary()

    def weights(self, layer):
        """Kernels and biases of the projections."""
        parts = [
            f"{name}_dense" for name in ("query", "key", "value", "output", "gate")
        ]
        return [
            projection_path(layer, part, w)
            for part in parts
            for w in ("kernel", "bias")
        ]

    def propagate(self, layer, inputs, flow):
        """Issues new channels. Masks stay as they are."""
        order = argument_order(flow.call)
        if stopped := _stop_unless_last(inputs, flow):
            return stopped
        if flow.notes.setdefault(id(layer), order) != order:
            return flow.stop(inputs, f"`{layer.name}` is called in several ways")
        self._orders[layer] = order
        output = flow.call.output_tensors[0]
        if len(projection(layer, "output_dense").shape) != 3:
            return flow.stop(inputs, f"`{layer.name}` makes several axes")
        for name, source in zip(order, inputs, strict=True):
            if name not in ("query", "value", "key"):
                flow.pin(source.ids, f"`{name}` of `{layer.name}`")
        made = flow.make(output.shape[-1])
        if isinstance(layer, keras.layers.GroupQueryAttention):
            query, value = (inputs[order.index(name)] for name in ("query", "value"))
            flow.unite(made, query.ids)  # the layer wants as many of each
            flow.unite(value.ids, query.ids)
        return [Channels(made, len(output.shape) - 1), *_scores(flow)]

    def cut(self, layer, kept_in, kept_out):
        """Cuts the outer ends of all projections."""
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
        """Those of the projection of the output."""
        return columns(projection(layer, "output_dense"))

    def reads(self, layer, call):
        """The projections that read each tensor, side by side."""
        given = dict(zip(argument_order(call), call.input_tensors, strict=True))
        given.setdefault("key", given["value"])
        found: dict[int, tuple] = {}
        for source, names in projections(layer).items():
            tensor = given[source]
            kernels = [front(projection(layer, name), 0) for name in names]
            found.setdefault(id(tensor), (tensor, []))[1].extend(kernels)
        return [Read(tensor, np.hstack(kernels)) for tensor, kernels in found.values()]

    def flops(self, call, shapes):
        """Projections, scores, and the sum of values."""
        return headed_attention_flops(call, call.op, shapes)
