"""Rules for recurrent layers, and for layers that wrap another one."""

import dataclasses

import keras

from keras_basisprune.graph.rules.flow import Channels
from keras_basisprune.graph.rules.rule import Rule, channel_rule, rule_of


@channel_rule(
    keras.layers.GRU,
    keras.layers.LSTM,
    keras.layers.SimpleRNN,
    keras.layers.Bidirectional,
)
class RecurrentRule(Rule):
    """Input channels are followed. What the layer makes stays: it feeds on it."""

    def weights(self, layer):
        """Those of its cells, if they are known."""
        names, cells = ("kernel", "recurrent_kernel", "bias"), _cells(layer)
        return [f"{path}cell.{name}" for path in cells for name in names] or None

    def propagate(self, layer, inputs, flow):
        """Lets the first input pass in; states stay."""
        reason = f"states of `{layer.name}`"
        if not _cells(layer) or inputs[0].axis != 2:
            return flow.stop(inputs, f"`{layer.name}` is not followed")
        for state in inputs[1:]:
            flow.pin(state.ids, reason)
        return [flow.pinned(tensor, reason) for tensor in flow.call.output_tensors]

    def cut(self, layer, kept_in, kept_out):
        """Cuts the rows of what the input is multiplied by."""
        config = layer.get_config()
        names = [name for name in ("layer", "backward_layer") if config.get(name)]
        return {name: _unbuilt(config[name]) for name in names}, {
            f"{path}cell.kernel": kept_in[0].take(cell.kernel, 0)
            for path, cell in _cells(layer).items()
        }


def _cells(layer) -> dict:
    """The cells of a recurrent layer by the paths to them, if they are known."""
    layers = {"": layer}
    if isinstance(layer, keras.layers.Bidirectional):
        names = ("forward_layer", "backward_layer")
        layers = {f"{name}.": getattr(layer, name) for name in names}
    known = (keras.layers.GRU, keras.layers.LSTM, keras.layers.SimpleRNN)
    if any(type(inner) not in known for inner in layers.values()):
        return {}
    return {path: inner.cell for path, inner in layers.items()}


@channel_rule(keras.layers.TimeDistributed)
class TimeDistributedRule(Rule):
    """As the rule for the layer inside says, for each time step."""

    def weights(self, layer):
        """Asks the rule for the layer inside."""
        rule = rule_of(layer.layer)
        names = None if rule is None else rule.weights(layer.layer)
        return None if names is None else [f"layer.{name}" for name in names]

    def propagate(self, layer, inputs, flow):
        """Asks the rule for the layer inside."""
        (source,) = inputs
        outer, rule = flow.call, rule_of(layer.layer)
        if rule is None or source.axis < 2 or len(outer.output_tensors) > 1:
            return flow.stop(inputs, f"no rule for what `{layer.name}` wraps")
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
        """Asks the rule for the layer inside."""
        kept = [_one_step(side[0]) for side in (kept_in, kept_out)]
        config, weights = rule_of(layer.layer).cut(layer.layer, kept[:1], kept[1:])
        inner = _unbuilt(layer.get_config()["layer"], **config)
        return {"layer": inner}, {f"layer.{n}": value for n, value in weights.items()}


def _unbuilt(config, **changes):
    """The config of a layer inside, which would be built for as many channels."""
    config = {name: part for name, part in config.items() if name != "build_config"}
    return {**config, "config": {**config["config"], **changes}}


def _one_step(kept):
    return dataclasses.replace(kept, axis=kept.axis - 1, rank=kept.rank - 1)
