"""One tiny classifier per way in which channels are tied, for channel scaling."""

import keras
from keras import layers
from models import conv_block, randomize


def _model(inputs, x):
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dense(5, activation="relu", name="hidden")(x)
    return randomize(keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x)))


def _norm_relu(x, name):
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _conv(filters, name, size=3, **kwargs):
    return layers.Conv2D(filters, size, padding="same", name=name, **kwargs)


def residual():
    """Two blocks, summed before the activation; the first tensor is pooled too."""
    inputs = keras.Input((8, 8, 3))
    x = layers.MaxPooling2D(name="pool")(conv_block(inputs, 6, "stem"))
    for n in (1, 2):
        y = conv_block(x, 4, f"inner{n}")
        y = layers.BatchNormalization(name=f"outer{n}_bn")(_conv(6, f"outer{n}")(y))
        x = layers.ReLU(name=f"relu{n}")(layers.Add(name=f"add{n}")([x, y]))
    return _model(inputs, x)


def preactivated():
    """The sum is read behind BatchNormalizations of each block's own."""
    inputs = keras.Input((6, 6, 3))
    x = _conv(6, "stem")(inputs)
    for n in (1, 2):
        y = conv_block(_norm_relu(x, f"pre{n}"), 4, f"inner{n}")
        x = layers.Add(name=f"add{n}")([x, _conv(6, f"outer{n}")(y)])
    return _model(inputs, _norm_relu(x, "post"))


def dense():
    """Concatenations that BatchNormalization reads, each longer than the last."""
    inputs = keras.Input((6, 6, 3))
    x = _conv(4, "stem")(inputs)
    for n in (1, 2):
        y = conv_block(_norm_relu(x, f"pre{n}"), 6, f"inner{n}")
        x = layers.Concatenate(name=f"join{n}")([x, _conv(3, f"grown{n}")(y)])
    return _model(inputs, _norm_relu(x, "post"))


def inception():
    """Branches side by side, one of them pooled, read by branches again."""
    inputs = keras.Input((6, 6, 3))
    x = conv_block(inputs, 6, "stem")
    for n in (1, 2):
        pooled = layers.AveragePooling2D(3, 1, "same", name=f"pool{n}")(x)
        branches = [
            conv_block(x, 3, f"left{n}"),
            conv_block(conv_block(x, 4, f"middle{n}_1"), 3, f"middle{n}_2"),
            conv_block(pooled, 2, f"right{n}"),
        ]
        x = layers.Concatenate(name=f"join{n}")(branches)
    return _model(inputs, x)


def joined_and_summed():
    """A concatenation that a convolution is added to: its channels are one layer's."""
    inputs = keras.Input((6, 6, 3))
    parts = [conv_block(inputs, 3, "left"), conv_block(inputs, 3, "right")]
    x = layers.Concatenate(name="join")(parts)
    y = _conv(6, "outer")(conv_block(x, 4, "inner"))
    return _model(inputs, layers.ReLU(name="relu")(layers.Add(name="add")([x, y])))


def inverted():
    """Depthwise convolutions between wide ones; the narrow sum has no activation."""
    inputs = keras.Input((6, 6, 3))
    x = conv_block(inputs, 4, "stem")
    for n in (1, 2):
        y = conv_block(x, 8, f"wide{n}")
        y = layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{n}")(y)
        y = _conv(4, f"narrow{n}", 1)(_norm_relu(y, f"depthwise{n}"))
        y = layers.BatchNormalization(name=f"narrow{n}_bn")(y)
        x = layers.Add(name=f"add{n}")([x, y])
    return _model(inputs, conv_block(x, 6, "last"))


def squeezed():
    """Squeeze and excitation by dense layers in one block, 1x1 ones in the other."""
    inputs = keras.Input((6, 6, 3))
    x = conv_block(inputs, 6, "first")
    s = layers.GlobalAveragePooling2D(keepdims=True, name="mean1")(x)
    s = layers.Dense(3, activation="relu", name="down1")(s)
    s = layers.Dense(6, activation="sigmoid", name="up1")(s)
    x = conv_block(layers.Multiply(name="gate1")([x, s]), 6, "second")
    s = layers.GlobalAveragePooling2D(keepdims=True, name="mean2")(x)
    s = _conv(3, "down2", 1, activation="swish")(s)
    s = _conv(6, "up2", 1, activation="sigmoid")(s)
    return _model(inputs, conv_block(layers.Multiply(name="gate2")([x, s]), 5, "last"))


def u_net():
    """What is halved comes back, beside what it was; classes at each position."""
    inputs = keras.Input((8, 8, 3))
    a = conv_block(inputs, 4, "down")
    b = conv_block(layers.MaxPooling2D(name="pool")(a), 6, "bottom")
    c = layers.Conv2DTranspose(4, 2, strides=2, activation="relu", name="wider")(b)
    x = conv_block(layers.Concatenate(name="join")([c, a]), 5, "up")
    return randomize(keras.Model(inputs, _conv(4, "classes", 1)(x)))


def separable():
    """Separable convolutions, read through `Flatten` by the head."""
    x = inputs = keras.Input((6, 6, 3))
    for n, filters in enumerate((6, 4), 1):
        x = layers.SeparableConv2D(filters, 3, activation="relu", name=f"conv{n}")(x)
    x = layers.Flatten(name="flat")(x)
    return randomize(keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x)))


def sequence():
    """One spatial axis, and padding and dropout on the way."""
    x = inputs = keras.Input((12, 3))
    for n, filters in enumerate((6, 4), 1):
        x = layers.Conv1D(filters, 3, activation="relu", name=f"conv{n}")(x)
        x = layers.SpatialDropout1D(0.2)(layers.ZeroPadding1D(1)(x))
    x = layers.GlobalMaxPooling1D(name="features")(x)
    return randomize(keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x)))


# Each network, the layers that are weighed, and those that make up the head.
NETWORKS = {
    "residual": (residual, "stem inner1 inner2", "hidden head"),
    "preactivated": (preactivated, "stem inner1 inner2", "hidden head"),
    "dense": (dense, "stem inner1 grown1 inner2 grown2", "hidden head"),
    "inception": (
        inception,
        "stem left1 middle1_1 middle1_2 right1 left2 middle2_1 middle2_2 right2",
        "hidden head",
    ),
    "joined_and_summed": (joined_and_summed, "left right inner", "hidden head"),
    "inverted": (inverted, "stem wide1 wide2 last", "hidden head"),
    "squeezed": (squeezed, "first down1 second down2 last", "hidden head"),
    "u_net": (u_net, "down bottom wider up", "classes"),
    "separable": (separable, "conv1 conv2", "head"),
    "sequence": (sequence, "conv1 conv2", "head"),
}
