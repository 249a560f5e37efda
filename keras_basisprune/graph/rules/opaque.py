"""Layers of Keras of which nothing is known."""

import keras

from keras_basisprune.graph.rules.registry import unfollowed
from keras_basisprune.graph.rules.rule import Rule


@unfollowed(
    keras.layers.FlaxLayer,
    keras.layers.JaxLayer,
    keras.layers.Lambda,
    keras.layers.MelSpectrogram,
    keras.layers.TFSMLayer,
    keras.layers.TorchModuleWrapper,
)
class OpaqueRule(Rule):
    """They may multiply by weights, even if they have none that Keras knows of."""

    def flops(self, call, shapes):
        """Not known."""
        return None
