"""Networks of convolutions, and what their layers put out."""

import keras
import numpy as np
from keras import layers
from models import randomize

import keras_basisprune as kbp


def residual():
    """Two residual blocks, one with BatchNormalization at the end of its branch."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="stem")(x)
    branch = layers.Conv2D(12, 3, padding="same", name="narrow", activation="relu")(x)
    branch = layers.Conv2D(12, 1, name="wide")(branch)
    branch = layers.BatchNormalization(name="bn")(branch)
    x = layers.ReLU()(x + branch)
    branch = layers.Conv2D(12, 3, padding="same", name="last")(x)
    x = layers.Add(name="sum")([x, layers.Dropout(0.5)(branch)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return randomize(keras.Model(inputs, layers.Dense(5, activation="softmax")(x)))


def stack(activation="relu"):
    x = inputs = keras.Input((8, 8, 3))
    for number in range(5):
        x = layers.Conv2D(
            16, 3, padding="same", activation=activation, name=f"conv{number}"
        )(x)
    return randomize(keras.Model(inputs, x))


def inner(model, name):
    """The outputs of one layer, as a model."""
    return keras.Model(model.input, model.get_layer(name).output)


def flat(values):
    return np.asarray(values, np.float64).reshape(-1, values.shape[-1])


def linear(model, name):
    """The outputs of one layer before its activation."""
    layer = model.get_layer(name)
    copy = type(layer).from_config({**layer.get_config(), "activation": None})
    result = keras.Model(model.input, copy(layer.input))
    copy.set_weights(layer.get_weights())
    return result


def convert(model, data, basis="activations", **arguments):
    return kbp.convert(model, basis=basis, data=data, verbose=0, **arguments)
