"""Functions of `keras.ops` and operators, and channels first, against the oracle."""

import keras
import numpy as np
import pytest
from channel_oracle import between, chain, check
from keras import layers, ops

import keras_basisprune as kbp

EACH = np.arange(1, 7, dtype="float32")

OPERATORS = {
    "constants": lambda x: (1.0 - (2.0 * x + 1.0) / 3.0) * EACH,
    "constants_of_axes": lambda x: x * EACH.reshape(1, 1, 1, 6) + np.ones((8, 1)),
    "arithmetic": lambda x: ops.maximum(abs(x) ** 2 - x, x % 2.0) // 0.5,
    "comparison": lambda x: ops.where(x > EACH / 10, x, 0.1 * x),
    "logic": lambda x: x * ops.cast(ops.logical_and(x > 0, x < 1), "float32"),
    "functions": lambda x: ops.tanh(
        ops.sqrt(ops.square(ops.relu6(ops.silu(ops.gelu(x))))) + ops.exp(-ops.abs(x))
    ),
    "clip": lambda x: ops.stop_gradient(ops.clip(x, -0.5, 0.5)),
    "softmax": lambda x: ops.softmax(x, axis=1) + ops.log_softmax(x, axis=2),
    "reductions": lambda x: (
        ops.mean(x, axis=1, keepdims=True)
        + ops.max(x, axis=2, keepdims=True)
        + ops.std(x, axis=(1, 2), keepdims=True)
        - ops.min(x, axis=[1, 2], keepdims=True)
    ),
    "reduction_of_axes": lambda x: ops.expand_dims(ops.sum(x, axis=2), 1),
    "stack": lambda x: ops.mean(ops.stack([x, -x, 2 * x], axis=1), axis=1),
    "concatenation": lambda x: ops.concatenate([x, x * 2, ops.relu(x)], axis=-1),
    "reshape": lambda x: ops.reshape(ops.reshape(x, (-1, 64, 6)), (-1, 4, 16, 6)),
    "reshape_with_the_batch": lambda x: ops.reshape(
        layers.Dense(4)(ops.reshape(x, (-1, 6))), (-1, 8, 8, 4)
    ),
    "reshape_and_infer": lambda x: ops.reshape(x, (-1, *x.shape[1:3], 6)),
    "transposition": lambda x: ops.swapaxes(
        ops.moveaxis(ops.transpose(x, (0, 3, 1, 2)), 1, -1), 1, 2
    ),
    "moves": lambda x: ops.moveaxis(
        ops.moveaxis(x, (3, 1), (1, 2)), source=[1, 2], destination=[3, 1]
    ),
    "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, (1, 3)), (1, 3)),
    "slices": lambda x: x[:, 1:-1, ::2] + x[..., :1, 4:, :],
    "slices_of_channels": lambda x: ops.concatenate(
        [x[..., 2:], x[:, :, :, :-3], x[..., ::-1]], axis=3
    ),
    "slices_and_integers": lambda x: x[:, 0, ..., 1:][:, None] + x[:, :, None, 2, 1:],
    "flip": lambda x: ops.flip(x, axis=1) + ops.flip(x, axis=-1) + ops.flip(x, (1, 3)),
    "roll": lambda x: ops.roll(x, 2, axis=1) + ops.cumsum(x, axis=2),
    "pad": lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=2.0),
    "split": lambda x: ops.split(x, 2, axis=1)[0] * ops.split(x, 2, axis=1)[1],
    "pooling": lambda x: ops.max_pool(x, 2) + ops.average_pool(x, 2),
    "resize": lambda x: ops.image.resize(x, (5, 6)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    model = between(OPERATORS[name])
    assert kbp.graph.channel_groups(model).prunable("a").all()
    plans = check(model)
    assert any("a" in plan.channels for plan in plans)


FIRST = {"data_format": "channels_first"}


def first_squeeze_and_excite(x):
    y = layers.GlobalAveragePooling2D(keepdims=True, **FIRST)(x)
    y = layers.Conv2D(2, 1, activation="relu", **FIRST)(y)
    return x * layers.Conv2D(6, 1, activation="sigmoid", **FIRST)(y)


CHANNELS_FIRST = {
    "norms": chain(
        lambda: layers.BatchNormalization(axis=1),
        lambda: layers.LayerNormalization(axis=1),
        lambda: layers.GroupNormalization(3, axis=1),
        lambda: layers.UnitNormalization(axis=1),
        lambda: layers.PReLU(shared_axes=[2, 3]),
        lambda: layers.Softmax(axis=-1),
    ),
    "convolutions": chain(
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, **FIRST),
        lambda: layers.SeparableConv2D(4, 3, **FIRST),
        lambda: layers.Conv2DTranspose(5, 3, **FIRST),
        lambda: layers.Conv2D(5, 2, **FIRST),
    ),
    "spatial": chain(
        lambda: layers.UpSampling2D(**FIRST),
        lambda: layers.ZeroPadding2D(**FIRST),
        lambda: layers.Cropping2D(**FIRST),
        lambda: layers.MaxPooling2D(**FIRST),
        lambda: layers.Resizing(13, 14, **FIRST),
    ),
    "squeeze_and_excite": first_squeeze_and_excite,
    "concatenation": lambda x: layers.Concatenate(axis=1)([x, x[:, 3:], -x]),
    "constants": lambda x: x * EACH[:, None, None] + np.ones((14, 1)),
    "flatten": lambda x: layers.Permute((3, 1, 2))(
        layers.Reshape((8, 9, 4))(
            layers.Dense(288)(
                layers.Concatenate()([layers.Flatten()(x), layers.Flatten(**FIRST)(x)])
            )
        )
    ),
    "into_channels_last": lambda x: layers.Permute((3, 1, 2))(
        layers.Conv2D(5, 3)(layers.Permute((2, 3, 1))(x))
    ),
}


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_channels_first(name):
    # Never as wide as there are channels: Keras would add biases to columns then.
    x = inputs = keras.Input((3, 14, 15))
    x = layers.Conv2D(6, 3, padding="same", name="a", **FIRST)(x)
    x = CHANNELS_FIRST[name](x)
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="b", **FIRST)(x))
    assert kbp.graph.channel_groups(model).prunable("a").all()
    plans = check(model)
    assert any("a" in plan.channels for plan in plans)
