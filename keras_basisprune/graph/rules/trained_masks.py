"""The rule for layers that scale channels, whatever class they are."""

import keras

from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule
from keras_basisprune.layers import TrainedMask


@channel_rule(TrainedMask)
class TrainedMaskRule(Rule):
    """One number per channel in each weight. Subclasses need no rule."""

    def weights(self, layer):
        """Names the weights with the shape of `scale`."""
        return [
            name
            for name, value in vars(layer).items()
            if isinstance(value, keras.Variable) and value.shape == layer.scale.shape
        ]

    def propagate(self, layer, inputs, flow):
        """Passes the scaled channels on."""
        (source,) = inputs
        kind, name = layer.weighs
        if kind != "channels":
            return flow.stop(inputs, f"no rule for `{layer.name}`, which scales {kind}")
        axis = flow.channel_axis(flow.call.input_tensors[0])
        if source.axis != axis or len(source) != layer.scale.shape[0]:
            flow.pin(source.ids, f"`{layer.name}` scales another axis")
        return source

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights per channel."""
        kept = kept_in[0]
        names = self.weights(layer) if kept.total == layer.scale.shape[0] else ()
        return {}, {name: kept.take(getattr(layer, name)) for name in names}
