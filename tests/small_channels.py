"""A network whose groups of channels can be told by hand, and scores of groups."""

import keras
import numpy as np
from keras import layers
from models import array, randomize

LOSS = "sparse_categorical_crossentropy"


def small(dtype=None):
    """A residual tie (a, b), a depthwise layer on it (d), a concatenation (d, c).

    Channel `j` of `a`, `b` and `d` is one group, and so is each channel of `c`; the
    two outputs of `head` are pinned.
    """
    with_dtype = {"dtype": dtype}
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, padding="same", name="a", **with_dtype)(inputs)
    x = layers.BatchNormalization(name="a_bn", **with_dtype)(x)
    x = layers.ReLU(name="a_relu", **with_dtype)(x)
    y = layers.Conv2D(3, 1, activation="tanh", name="b", **with_dtype)(x)
    x = layers.Add(name="sum", **with_dtype)([x, y])
    d = layers.DepthwiseConv2D(3, padding="same", name="d", **with_dtype)(x)
    d = layers.BatchNormalization(name="d_bn", **with_dtype)(d)
    d = layers.Activation("swish", name="d_swish", **with_dtype)(d)
    c = layers.Conv2D(4, 2, padding="same", name="c", **with_dtype)(x)
    x = layers.Concatenate(name="both", **with_dtype)([d, c])
    x = layers.GlobalAveragePooling2D(**with_dtype)(x)
    x = layers.Dense(2, activation="softmax", name="head", dtype="float32")(x)
    return randomize(keras.Model(inputs, x, name="small"), seed=3)


def images(count=20):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 6, 6, 2)).astype("float32")
    return x, rng.integers(0, 2, count)


def kernel(model, name):
    """A kernel as a float64 matrix with a column for each filter."""
    found = array(model.get_layer(name).kernel).astype(np.float64)
    if isinstance(model.get_layer(name), layers.DepthwiseConv2D):
        return found.reshape(found.shape[0] * found.shape[1], -1)
    return found.reshape(-1, found.shape[-1])


def of_groups(groups, members, aggregate="sum"):
    """Scores of groups by a plain loop: `members` maps layers to scores."""
    combine = {"sum": np.sum, "mean": np.mean, "max": np.max}[aggregate]
    found = np.full(len(groups), np.inf)
    for group in range(len(groups)):
        scores = [
            members[name][channel]
            for name, channels in groups.members(group).items()
            if name in members
            for channel in channels
        ]
        if scores and group not in groups.pinned:
            found[group] = combine(scores)
    return found
