"""Rules for recurrent layers, and for layers that wrap another one."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.rules._reads import Read, axis_first
from keras_basisprune.graph.rules._recurrent_flops import recurrent_flops
from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.registry import (
    channel_rule,
    known,
    rule_of,
    rules_of,
    unfollowed_rule,
)
from keras_basisprune.graph.rules.rule import Rule


@channel_rule(
    keras.layers.GRU,
    keras.layers.LSTM,
    keras.layers.SimpleRNN,
    keras.layers.Bidirectional,
)
class RecurrentRule(Rule):
    """Input channels are followed. Outputs are pinned: they are fed back as states."""

    def weights(self, layer):
        """Names the weights of its cells, if they are known."""
        names, cells = ("kernel", "recurrent_kernel", "bias"), _cells(layer)
        return [f"{path}cell.{name}" for path in cells for name in names] or None

    def propagate(self, layer, inputs, flow):
        """Reads the first input; pins states and outputs."""
        reason = f"states of `{layer.name}`"
        if not _cells(layer) or inputs[0].axis != 2:
            return flow.stop(inputs, f"channels are not followed in `{layer.name}`")
        for state in inputs[1:]:
            flow.pin(state.ids, reason)
        return [flow.pinned(tensor, reason) for tensor in flow.call.output_tensors]

    def cut(self, layer, kept_in, kept_out):
        """Cuts the rows of the input kernels."""
        config = layer.get_config()
        names = [name for name in ("layer", "backward_layer") if config.get(name)]
        return {name: _unbuilt(config[name]) for name in names}, {
            f"{path}cell.kernel": kept_in[0].take(cell.kernel, 0)
            for path, cell in _cells(layer).items()
        }

    def reads(self, layer, call):
        """Returns the input kernels of all cells."""
        kernels = [axis_first(cell.kernel, 0) for cell in _cells(layer).values()]
        return [Read(call.input_tensors[0], np.hstack(kernels))] if kernels else []

    def flops(self, call, shapes):
        """Counts both kernels of each cell, at each time step."""
        layer = call.op
        if not isinstance(layer, keras.layers.Bidirectional):
            return recurrent_flops(layer, shapes)
        names = ("forward_layer", "backward_layer")
        each = [
            recurrent_flops(getattr(layer, name), shapes.inside(f"{name}."))
            for name in names
        ]
        return None if None in each else sum(each)


def _cells(layer) -> dict:
    """Returns the known cells of a recurrent layer, by the paths to them."""
    layers = {"": layer}
    if isinstance(layer, keras.layers.Bidirectional):
        names = ("forward_layer", "backward_layer")
        layers = {f"{name}.": getattr(layer, name) for name in names}
    known = (keras.layers.GRU, keras.layers.LSTM, keras.layers.SimpleRNN)
    if any(type(inner) not in known for inner in layers.values()):
        return {}
    return {path: inner.cell for path, inner in layers.items()}


@unfollowed_rule(
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
    keras.layers.RNN,
)
class UnfollowedRecurrentRule(Rule):
    """Only the cost is known."""

    def flops(self, call, shapes):
        """Counts both kernels of the cell, at each time step (and position)."""
        return recurrent_flops(call.op, shapes)


@channel_rule(keras.layers.TimeDistributed)
class TimeDistributedRule(Rule):
    """Applies the rule for the wrapped layer to each time step."""

    def weights(self, layer):
        """Names the weights by the rule for the wrapped layer."""
        rule = rule_of(layer.layer)
        names = None if rule is None else rule.weights(layer.layer)
        return None if names is None else [f"layer.{name}" for name in names]

    def propagate(self, layer, inputs, flow):
        """Follows channels by the rule for the wrapped layer."""
        (source,) = inputs
        outer, rule = flow.call, rule_of(layer.layer)
        if rule is None or source.axis < 2 or len(outer.output_tensors) > 1:
            return flow.stop(inputs, f"no rule for the layer in `{layer.name}`")
        inside = Channels(source.ids, source.axis - 1)
        before, after = (
            keras.KerasTensor((t.shape[0], *t.shape[2:]), dtype=t.dtype)
            for t in (*outer.input_tensors, *outer.output_tensors)
        )
        flow.call = dataclasses.replace(
            outer, op=layer.layer, args=(before,), kwargs={}, outputs=after
        )
        try:
            made = rule.propagate(layer.layer, [inside], flow)
        finally:
            flow.call = outer
        made = made[0] if isinstance(made, list | tuple) else made
        return None if made is None else Channels(made.ids, made.axis + 1)

    def cut(self, layer, kept_in, kept_out):
        """Cuts the wrapped layer by its rule."""
        kept = [_one_step(side[0]) for side in (kept_in, kept_out)]
        config, weights = rule_of(layer.layer).cut(layer.layer, kept[:1], kept[1:])
        inner = _unbuilt(layer.get_config()["layer"], **config)
        return {"layer": inner}, {f"layer.{n}": value for n, value in weights.items()}

    def filters(self, layer):
        """Returns the filters of the wrapped layer."""
        return known(layer.layer, "filters", layer.layer)

    def depthwise(self, layer):
        """Returns whether the wrapped layer is depthwise."""
        return any(rule.depthwise(layer.layer) for rule in rules_of(layer.layer))

    def reads(self, layer, call):
        """Returns the weights by which the wrapped layer reads."""
        return known(layer.layer, "reads", layer.layer, call)

    def flops(self, call, shapes):
        """Counts the wrapped layer, times the number of steps."""
        steps, inner = shapes.inputs[0][1], call.op.layer
        if isinstance(inner, keras.Model):
            return None
        call = dataclasses.replace(call, op=inner)
        if any(rule.inherited for rule in rules_of(inner)):
            # It treats steps as positions, and itself reports an unknown size.
            return known(inner, "flops", call, shapes.inside("layer."))
        within = known(inner, "flops", call, shapes.inside("layer.", 1))
        if within in (None, 0):
            return within
        return None if steps is None else steps * within


def _unbuilt(config, **changes):
    """Returns a wrapped layer's config without the shape that it was built for."""
    config = {name: part for name, part in config.items() if name != "build_config"}
    return {**config, "config": {**config["config"], **changes}}


def _one_step(kept):
    return dataclasses.replace(kept, axis=kept.axis - 1, rank=kept.rank - 1)


def unwrapped(layer) -> tuple[keras.layers.Layer, int]:
    """Returns the layer called at each time step, and the number of batch axes.

    For any other layer, the layer itself and 1.
    """
    batch_axes = 1
    while type(layer) is keras.layers.TimeDistributed:
        layer, batch_axes = layer.layer, batch_axes + 1
    return layer, batch_axes
