"""Rules for normalization, and for layers with one number per channel."""

import keras

from keras_basisprune.graph.channels._base import Rule, channel_rule


def _weights(layer, kept, names):
    """The kept parts of those weights (of shape `(channels,)`) that there are."""
    found = {name: getattr(layer, name, None) for name in names}
    return {name: kept.take(w) for name, w in found.items() if w is not None}


def _axes(layer, call) -> list[int]:
    """The axes that a layer's `axis` names, counted from the batch axis on."""
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    return [axis % len(call.input_tensors[0].shape) for axis in axes]


@channel_rule(keras.layers.BatchNormalization)
class BatchNormalizationRule(Rule):
    """Factors, shifts and statistics per channel."""

    names = ("gamma", "beta", "moving_mean", "moving_variance")

    def propagate(self, layer, inputs, flow):
        """Passes channels on, if it normalizes each by itself."""
        if inputs[0].axis not in _axes(layer, flow.call):
            flow.pin(inputs[0].ids, f"`{layer.name}` normalizes along another axis")
        return inputs[0]

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights."""
        return {}, _weights(layer, kept_in[0], self.names)


@channel_rule(
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
class LayerNormalizationRule(Rule):
    """Statistics across channels; factors and shifts per channel."""

    names = ("gamma", "beta", "scale")

    def propagate(self, layer, inputs, flow):
        """Passes channels on, unless the weights have other axes too."""
        axes = _axes(layer, flow.call)
        if inputs[0].axis in axes:
            flow.normalizes()
        if getattr(layer, "weights", ()) and axes != [inputs[0].axis]:
            flow.pin(inputs[0].ids, f"`{layer.name}` normalizes along several axes")
        return inputs[0]

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights."""
        if not layer.weights:
            return {}, {}
        return {}, _weights(layer, kept_in[0], self.names)
