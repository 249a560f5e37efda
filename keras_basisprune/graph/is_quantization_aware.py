"""Tells networks that round from others."""

from keras_basisprune.layers import FakeQuantize, FixedFakeQuantize


def is_quantization_aware(model) -> bool:
    """Returns whether a `keras.Model` rounds as an int8 file does."""
    kinds = FakeQuantize | FixedFakeQuantize
    return any(isinstance(layer, kinds) for layer in model.layers)
