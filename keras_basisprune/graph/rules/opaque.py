"""Layers of Keras that hide what they compute."""

import keras

from keras_basisprune.graph.rules.registry import unfollowed_rule
from keras_basisprune.graph.rules.rule import Rule


@unfollowed_rule(
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
        """Returns `None`: not known."""
        return None
