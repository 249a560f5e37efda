"""Rules for normalization, and for layers with one number per channel."""

import keras
import numpy as np

from keras_basisprune.graph.rules.flow import axes_of
from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule


def _weights(layer, kept, names=("gamma", "beta")):
    """Returns the kept parts of a layer's weights of shape `(channels,)`."""
    found = {name: getattr(layer, name, None) for name in names}
    return {name: kept.take(w) for name, w in found.items() if w is not None}


def _axes(layer, flow) -> list[int]:
    """Returns the axes of a layer's `axis`, counted from the batch axis on."""
    return axes_of(layer.axis, len(flow.call.input_tensors[0].shape))


@channel_rule(keras.layers.BatchNormalization)
class BatchNormalizationRule(Rule):
    """Factors, shifts and statistics per channel."""

    follows = True
    names = (
        *("gamma", "beta", "moving_mean", "moving_variance"),
        *("moving_stddev", "renorm_mean", "renorm_stddev"),  # of batch renormalization
    )

    def weights(self, layer):
        """Names all weights."""
        return self.names

    def propagate(self, layer, inputs, flow):
        """Passes channels on, if each is normalized independently."""
        if inputs[0].axis not in _axes(layer, flow):
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

    def weights(self, layer):
        """Names factors and shifts."""
        return "gamma", "beta", "scale"

    def propagate(self, layer, inputs, flow):
        """Passes channels on, unless the weights have other axes too."""
        axes = _axes(layer, flow)
        if inputs[0].axis in axes:
            flow.normalizes()
        if layer.weights and axes != [inputs[0].axis]:
            flow.pin(inputs[0].ids, f"`{layer.name}` has weights for several axes")
        return inputs[0]

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights."""
        scales = isinstance(layer, keras.layers.RMSNormalization)
        return {}, _weights(
            layer, kept_in[0], ["scale"] if scales else ["gamma", "beta"]
        )

    def flops(self, call, shapes):
        """Counts nothing, whatever axes the weights have."""
        return 0


@channel_rule(keras.layers.GroupNormalization)
class GroupNormalizationRule(Rule):
    """Statistics across the channels of each group."""

    def weights(self, layer):
        """Names factors and shifts."""
        return "gamma", "beta"

    def propagate(self, layer, inputs, flow):
        """Passes channels on; all groups keep equally many."""
        (source,) = inputs
        if [source.axis] != _axes(layer, flow):
            flow.pin(source.ids, f"`{layer.name}` normalizes along another axis")
        elif layer.groups < len(source):
            flow.normalizes()
            flow.unite_groups(source.ids, layer.groups)
        return source

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights. Keeps the groups, unless each channel is one."""
        kept = kept_in[0]
        groups = len(kept) if layer.groups == kept.total else layer.groups
        return {"groups": groups}, _weights(layer, kept)


@channel_rule(keras.layers.Normalization)
class NormalizationRule(Rule):
    """Given means and variances per channel."""

    def weights(self, layer):
        """Names the measured statistics, which are not cut."""
        return "adapt_mean", "adapt_variance", "count"

    def propagate(self, layer, inputs, flow):
        """Passes channels on. Pins channels with measured statistics."""
        (source,) = inputs
        given = np.ndim(layer.input_mean)
        if layer.weights and source.axis in _axes(layer, flow):
            flow.pin(source.ids, f"`{layer.name}` has measured their statistics")
        elif given and _axes(layer, flow) != [source.axis]:
            flow.pin(source.ids, f"`{layer.name}` normalizes along several axes")
        return source

    def cut(self, layer, kept_in, kept_out):
        """Cuts the statistics that the config states."""
        given = {"mean": layer.input_mean, "variance": layer.input_variance}
        return {
            name: kept_in[0].take(np.asarray(value)).tolist()
            for name, value in given.items()
            if np.size(value) == kept_in[0].total and np.ndim(value)
        }, {}

    def flops(self, call, shapes):
        """Counts nothing, whatever axes the statistics have."""
        return 0


@channel_rule(keras.layers.Rescaling)
class RescalingRule(Rule):
    """A factor and an offset, for all channels or for each."""

    def weights(self, layer):
        """Names none: they are in the config."""
        return ()

    def propagate(self, layer, inputs, flow):
        """Passes channels on, if factors and offsets are on their axis."""
        last = len(flow.call.input_tensors[0].shape) - 1
        listed = np.ndim(layer.scale) or np.ndim(layer.offset)
        first = keras.config.image_data_format() == "channels_first"
        if listed and (first or inputs[0].axis != last):
            flow.pin(inputs[0].ids, f"`{layer.name}` has numbers for another axis")
        return inputs[0]

    def cut(self, layer, kept_in, kept_out):
        """Cuts lists of factors and offsets."""
        given = {"scale": layer.scale, "offset": layer.offset}
        return {
            name: kept_in[0].take(np.asarray(value)).tolist()
            for name, value in given.items()
            if np.shape(value)[-1:] == (kept_in[0].total,)
        }, {}


@channel_rule(keras.layers.PReLU)
class PReLURule(Rule):
    """A slope per channel, or per position of each channel."""

    follows = True

    def weights(self, layer):
        """Names the slopes."""
        return ("alpha",)

    def cut(self, layer, kept_in, kept_out):
        """Cuts slopes at the channel axis, unless channels share them."""
        axis = kept_in[0].axis - 1
        if layer.alpha.shape[axis] != kept_in[0].total:
            return {}, {}
        return {}, {"alpha": kept_in[0].take(layer.alpha, axis)}

    def flops(self, call, shapes):
        """Counts nothing, whatever axes the slopes have."""
        return 0


@channel_rule("LayerScale")  # of ConvNeXt
class LayerScaleRule(Rule):
    """A factor per channel."""

    def weights(self, layer):
        """Names the factors."""
        return ("gamma",)

    def propagate(self, layer, inputs, flow):
        """Passes the channels of the last axis on."""
        if inputs[0].axis != len(flow.call.input_tensors[0].shape) - 1:
            flow.pin(inputs[0].ids, f"`{layer.name}` has factors for another axis")
        return inputs[0]

    def cut(self, layer, kept_in, kept_out):
        """Cuts the factors."""
        config = {"projection_dim": len(kept_in[0])}
        return config, {"gamma": kept_in[0].take(layer.gamma)}
