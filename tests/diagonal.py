"""A tiny converted model whose bases, scores and accuracy can be told by hand."""

import keras
import numpy as np
from models import array

from keras_basisprune import convert


def diagonal(scaling=(1.0, 1.0), **kwargs):
    """`a` has the singular values 4, 3, 2, 1, and `b` 3, 1, times `scaling`.

    Relative magnitudes: 1, 0.75, 0.5, 0.25 and 1, 1/3.
    """
    inputs = keras.Input((4,))
    a = keras.layers.Dense(4, name="a")(inputs)
    b = keras.layers.Dense(2, name="b")(inputs)
    model = keras.Model(inputs, keras.layers.Concatenate()([a, b]))
    model.get_layer("a").kernel.assign(scaling[0] * np.diag([4.0, 3, 2, 1]))
    model.get_layer("b").kernel.assign(scaling[1] * np.diag([3.0, 1, 0, 0])[:, :2])
    return convert(model, include=keras.layers.Dense, **kwargs)


def classifier(rate=0.0, **kwargs):
    """A compiled classifier of unit vectors: accuracy is the share of bases kept.

    Class `i` needs the basis `i`, whose relative magnitude is 1, 0.75, 0.5 or 0.25.
    """
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="a", bias_initializer="zeros")]
    )
    model.get_layer("a").kernel.assign(np.diag([4.0, 3, 2, 1]))
    model.get_layer("a").bias.assign([0.1, 0, 0, 0])
    model = convert(model, include="a", **kwargs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.SGD(rate), loss, metrics=["accuracy"], run_eagerly=True
    )
    return model


UNIT_VECTORS = np.eye(4, dtype="float32"), np.arange(4)


def masks(model):
    """The masks as a string of digits per layer."""
    layers = [x for x in model.layers if x.name.endswith("_scaling")]
    return {
        x.name.removesuffix("_scaling"): "".join(f"{m:.0f}" for m in array(x.mask))
        for x in layers
    }


class Record(keras.callbacks.Callback):
    """Notes masks and weights of every epoch, after the callbacks before it."""

    def on_train_begin(self, logs=None):
        self.began, self.masks, self.weights = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.began.append(masks(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.masks.append(masks(self.model))
        self.weights.append(self.model.get_weights())
