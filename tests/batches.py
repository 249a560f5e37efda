"""Samples, models that take them, and how they are read."""

import keras
import numpy as np

from keras_basisprune.data.sample_batches import sample_batches

A = np.random.default_rng(0).standard_normal((7, 4)).astype("float32")
B = np.random.default_rng(1).standard_normal((7, 3, 2)).astype("float32")
LABELS = np.arange(7)


def one_input():
    inputs = keras.Input((4,), name="image")
    return keras.Model(inputs, inputs * 2.0)


def two_inputs():
    """Inputs that are not in the order of their names."""
    b, a = keras.Input((4,), name="b"), keras.Input((3, 2), name="a")
    return keras.Model([b, a], keras.layers.Flatten()(a) * b[:, :1])


def read(model, data, batch_size=None, argument="data"):
    specs = [
        keras.InputSpec(shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs
    ]
    return list(sample_batches(model, specs, data, argument, batch_size))
