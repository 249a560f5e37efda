"""Which layers can have weights of 4 bits."""

import keras

from keras_basisprune.graph.rules import rule_of

# LiteRT has kernels for them, and their weights are packed, two in a byte.
_PACKED = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Dense)


def can_be_small(layer) -> bool:
    """Returns whether the weights of a layer can have 4 bits in a file.

    Depthwise kernels, those of grouped convolutions with one channel per group among
    them, are small and lose much; of transposed convolutions LiteRT has no kernels.
    """
    return type(layer) in _PACKED and not rule_of(layer).depthwise(layer)
