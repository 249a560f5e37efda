"""Small encoders, sources and targets for tests of `select_relevant`."""

import keras
import numpy as np


def vectors(size=2):
    """An encoder that returns its input."""
    inputs = keras.Input((size,))
    return keras.Model(inputs, keras.layers.Activation("linear")(inputs))


def maps(shape=(8, 8, 3), filters=4, seed=0):
    """An encoder with maps of features."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(filters, 3, activation="relu", padding="same")(x)
    return keras.Model(inputs, x)


def images(count, seed, high=256, shape=(8, 8, 3)):
    """Random images, uint8."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, high, (count, *shape), dtype=np.uint8)


def striped(count, seed, axis):
    """Images of stripes along an axis, with noise."""
    rng = np.random.default_rng(seed)
    period = rng.integers(2, 4, (count, 1, 1, 1))
    place = np.arange(8).reshape((1, -1, 1, 1) if axis == 0 else (1, 1, -1, 1))
    stripes = 160 * (place // period % 2) + rng.integers(0, 60, (count, 8, 8, 3))
    return stripes.astype(np.uint8)
