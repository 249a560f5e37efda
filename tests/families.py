"""One tiny classifier per family of architectures, all weights random."""

import keras
from keras import layers
from models import conv_block, randomize


def _head(inputs, x):
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x)))


def _start(filters=8):
    inputs = keras.Input((6, 6, 3))
    return inputs, conv_block(inputs, filters, "stem")


def sequential():
    block = [
        [
            layers.Conv2D(8, 3, padding="same", use_bias=False, name=name),
            layers.BatchNormalization(name=f"{name}_bn"),
            layers.ReLU(name=f"{name}_relu"),
        ]
        for name in ("a", "b")
    ]
    head = [layers.Flatten(), layers.Dense(4, "softmax", name="head")]
    rows = [keras.Input((6, 6, 3)), *block[0], layers.MaxPooling2D(), *block[1], *head]
    return randomize(keras.Sequential(rows))


def residual():
    inputs, x = _start()
    branch = conv_block(conv_block(x, 8, "first"), 8, "second")
    return _head(inputs, layers.ReLU()(layers.Add()([x, branch])))


def depthwise():
    inputs, x = _start()
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(name="depthwise_bn")(x))
    return _head(inputs, conv_block(x, 8, "point"))


def concatenation():
    inputs, x = _start()
    x = layers.Concatenate()([x, conv_block(x, 6, "left"), conv_block(x, 6, "right")])
    return _head(inputs, conv_block(x, 8, "last"))


def nested():
    inputs = keras.Input((6, 6, 6))
    inner = keras.Model(inputs, conv_block(inputs, 8, "inside"), name="inner")
    inputs, x = _start(6)
    return _head(inputs, conv_block(inner(x), 8, "last"))


def shared():
    """A convolution that is called twice, on channels that are tied by that."""
    inputs, x = _start()
    y = conv_block(keras.ops.flip(inputs, axis=1), 8, "other")
    conv = layers.Conv2D(8, 3, padding="same", name="conv")
    norm = layers.BatchNormalization(name="bn")
    x = layers.Add()([layers.ReLU()(norm(conv(t))) for t in (x, y)])
    return _head(inputs, conv_block(x, 8, "last"))


FAMILIES = {
    "sequential": sequential,
    "residual": residual,
    "depthwise": depthwise,
    "concatenation": concatenation,
    "nested": nested,
    "shared": shared,
}
