"""A toy method: a trainable gain per channel, behind the activation of convolutions.

The layer follows the protocol of `layers.TrainedMask`, and no part of the package knows
it.
"""

import keras
import numpy as np

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import TrainedMask


@keras.saving.register_keras_serializable(package="tests")
class Gain(TrainedMask):
    """Multiplies each channel by a gain of its own."""

    def __init__(self, data_format="channels_last", **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format

    def build(self, input_shape):
        axis = 1 if self.data_format == "channels_first" else -1
        self.add_scale_and_mask(input_shape[axis])

    def call(self, inputs):
        factors = self.scale * self.mask
        if self.data_format == "channels_first":
            shape = (-1,) + (1,) * (len(inputs.shape) - 2)
            factors = keras.ops.reshape(factors, shape)
        return inputs * factors

    @property
    def weighs(self):
        return "channels", self.name.removesuffix("_gain")

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


def channel_gain(model, l1=0.0):
    """Puts a `Gain` behind each activated convolution whose channels may leave."""
    traced = trace(model)
    channels = channel_map(traced)
    chosen = set()
    for call in traced.calls:
        if (
            isinstance(call.op, keras.layers.Conv2D)
            and call.op.activation is not linear
        ):
            groups = channels.of(call.output_tensors[0])
            others = [
                channels.of(other.output_tensors[0])
                for other in traced.calls
                if other.op is not call.op and hasattr(other.op, "kernel")
            ]
            tied = any(np.isin(groups, of).any() for of in others if of is not None)
            if not tied and not np.isin(groups, list(channels.pinned)).any():
                chosen.add(id(call.op))

    def replace(layer, name):
        if id(layer) not in chosen:
            return None
        gain = Gain(layer.data_format, l1=l1 or None, name=f"{name}_gain")
        weights = {"kernel": layer.kernel, "bias": layer.bias}
        frozen = clone(layer, name, trainable=False)
        return [NewLayer(frozen, weights), NewLayer(gain)]

    return rewrite(model, replace, traced)


linear = keras.activations.linear
