"""Models with what crosses between Keras 3 and `tf_keras` in its own way."""

import keras
import numpy as np
from keras import layers, ops
from models import randomize

ACTIVATIONS = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid"),
    *("hard_silu", "hard_tanh", "leaky_relu", "log_sigmoid", "mish", "relu", "relu6"),
    *("selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign"),
    *("squareplus", "tanh", "tanh_shrink"),
)


def activations():
    x = inputs = keras.Input((4, 5))
    found = [layers.Activation(name)(3 * x) for name in ACTIVATIONS]
    found += [layers.LeakyReLU(0.3)(x), layers.ReLU(2.0, 0.1, 0.2)(x)]
    found += [layers.ELU(0.7)(x), layers.PReLU(shared_axes=[1])(x)]
    found += [layers.Softmax(axis=1)(x), layers.Dense(3, "hard_sigmoid")(x)]
    return keras.Model(inputs, found)


def functions():
    """Activations that are operations."""
    x = inputs = keras.Input((4, 5))
    found = [getattr(ops, n)(2 * x) for n in ACTIVATIONS if hasattr(ops, n)]
    found += [ops.gelu(x, approximate=False), ops.softmax(x, axis=1)]
    found += [ops.log_softmax(x), ops.leaky_relu(x, 0.3)]
    return keras.Model(inputs, found)


def arithmetic():
    a, b = keras.Input((4, 3)), keras.Input((4, 3))
    p = abs(a) + 0.5
    found = [a + b, a - b, a * b, a / p, a @ ops.transpose(b, (0, 2, 1)), a // p]
    found += [2 + a, 2 - a, 2 * a, 2 / p, a + 2, a - 2, a / 3, p**0.5, a % 0.7, -a]
    found += [a + np.arange(3.0, dtype="float32"), p**b]
    found += [ops.maximum(a, b), ops.minimum(a, 0.1), ops.square(a), ops.sqrt(p)]
    found += [ops.log(p), ops.exp(a), ops.rsqrt(p), ops.sin(a), ops.erf(a)]
    found += [ops.sign(a), ops.floor(a), ops.ceil(a)]
    found += [ops.where(ops.logical_and(a > b, a < 1), a, 0.0), ops.clip(a, -0.5, 0.2)]
    found += [ops.cast(a >= 0.3, "float32"), ops.cast(a * 5, "int32") + 1]
    return keras.Model([a, b], found)


def shapes():
    x = inputs = keras.Input((4, 6))
    found = [x[:, 1:3], x[..., -1], x[:, ::2, None], x[:, 1, 2:], x[0]]
    found += [ops.mean(x, 1), ops.max(x, -1, keepdims=True), ops.sum(x, (1, 2))]
    found += [ops.var(x, 1), ops.std(x, 2), ops.min(x), ops.prod(x, 1)]
    found += [ops.argmax(x, -1), ops.logsumexp(x, 1), ops.any(x > 1, 1)]
    found += [ops.reshape(x, (-1, 3, 8)), ops.reshape(x, (-1, 2, 12)) * 2]
    found += [ops.swapaxes(x, 1, 2), ops.moveaxis(x, 1, 2), ops.transpose(x, (0, 2, 1))]
    found += [*ops.split(x, 2, axis=2), *ops.split(x, [1, 3], axis=2)]
    found += [ops.stack([x, 2 * x], axis=1), ops.concatenate([x, x], axis=2)]
    found += [ops.expand_dims(x, -1), ops.squeeze(x[:, :1], 1), ops.flip(x, 1)]
    found += [ops.pad(x, [[0, 0], [1, 2], [0, 1]], "reflect"), ops.tile(x, (1, 2, 1))]
    found += [ops.pad(x, [[0, 0], [1, 2], [0, 1]], constant_values=3)]
    found += [ops.repeat(x, 2, axis=1), ops.roll(x, 1, axis=2)]
    return keras.Model(inputs, found)


def images():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling([0.5, 1.0, 2.0], [0.1, 0.2, 0.3])(x)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    x = layers.RandomFlip()(layers.RandomRotation(0.2)(x))
    y = layers.UpSampling2D(2, interpolation="bilinear")(x)
    y = layers.Resizing(8, 8)(layers.ZeroPadding2D(((1, 2), (3, 0)))(y))
    y = layers.Cropping2D(1)(ops.image.resize(y, (10, 10)))
    return keras.Model(inputs, layers.Concatenate()([layers.GaussianNoise(1.0)(x), y]))


def recurrent():
    x = inputs = keras.Input((5, 4))
    x = layers.GRU(3, return_sequences=True, recurrent_activation="hard_sigmoid")(x)
    x = layers.Bidirectional(
        layers.LSTM(3, return_sequences=True), merge_mode="sum", trainable=False
    )(x)
    cells = [layers.LSTMCell(4), layers.GRUCell(3, reset_after=False)]
    x = layers.RNN(layers.StackedRNNCells(cells), return_sequences=True)(x)
    x = layers.TimeDistributed(layers.BatchNormalization())(x)
    x = layers.Attention(use_scale=True)([x, x])
    x = layers.SimpleRNN(3, return_sequences=True)(
        layers.EinsumDense("abc,cd->abd", (None, 4))(x)
    )
    return keras.Model(
        inputs, layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    )


def penalized():
    x = inputs = keras.Input((6,))
    x = layers.Dense(
        5,
        kernel_regularizer=keras.regularizers.L1L2(1e-3, 2e-3),
        bias_regularizer="l2",
        kernel_constraint=keras.constraints.MaxNorm(2.0, axis=0),
        activity_regularizer=keras.regularizers.L2(1e-2),
    )(x)
    return keras.Model(inputs, layers.Dense(2, kernel_constraint="non_neg")(x))


def mixed():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, dtype="mixed_float16")(inputs)
    x = layers.BatchNormalization(dtype="mixed_float16")(x)
    x = layers.Activation("relu", dtype="mixed_float16")(x * 2)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def mobile(size=32):
    """MobileNet 0.25 with a head of four classes, all weights random."""
    base = keras.applications.MobileNet(
        (size, size, 3), 0.25, include_top=False, weights=None, pooling="avg"
    )
    model = keras.Sequential([base, layers.Dense(4, "softmax")])
    return randomize(model)


OWN = (activations, functions, arithmetic, shapes, images, recurrent, penalized)
