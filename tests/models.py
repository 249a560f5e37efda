"""Tiny models of every kind that is promised to work, and helpers to compare them."""

import keras
import numpy as np
from keras import layers, ops

# Largest difference between two ways to compute the same, relative to the output's
# largest value; one tolerance per dtype.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "float16": 1e-2, "bfloat16": 6e-2}


def randomize(model, seed=0):
    """Gives every weight a random value; returns the model.

    Kernels keep the scale of their initializer. Factors and variances lie in
    0.5..1.5, offsets and means have a standard deviation of 0.1.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        shape = tuple(weight.shape)
        if weight.name.endswith(("gamma", "variance")):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            deviation = 0.1
            if len(shape) > 1:
                deviation = float(np.std(array(weight), dtype=np.float64)) or 0.1
            value = rng.standard_normal(shape, dtype=np.float32) * deviation
        weight.assign(value)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it calls with values of its own, not its weights
    return model


def array(tensor):
    """A tensor or variable of any backend and dtype as a NumPy array."""
    return np.array(keras.ops.convert_to_numpy(tensor))


def outputs(model, inputs, training=False):
    """The model's outputs, a flat list of arrays."""
    return [array(x) for x in keras.tree.flatten(model(inputs, training=training))]


def relative_difference(a, b):
    """`max|a-b| / max|a|` of two arrays; the largest of two lists of arrays."""
    if isinstance(a, list):
        assert len(a) == len(b)
        return max(relative_difference(x, y) for x, y in zip(a, b, strict=True))
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    return float(np.max(np.abs(a - b)) / np.max(np.abs(a)))


def identical(a, b):
    """Whether two lists of arrays are equal to the bit."""
    if len(a) != len(b):
        return False
    pairs = zip(a, b, strict=True)
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def sample(model, seed=0, batch=2, size=9):
    """Random inputs of the structure that the model takes; `size` for `None` axes."""
    rng = np.random.default_rng(seed)

    def draw(tensor):
        shape = [batch, *(size if n is None else n for n in tensor.shape[1:])]
        if "int" in tensor.dtype:
            return rng.integers(0, 5, shape).astype(tensor.dtype)
        return rng.standard_normal(shape).astype(tensor.dtype)

    structure = model.inputs if isinstance(model, keras.Sequential) else model.input
    drawn = keras.tree.map_structure(draw, structure)
    return drawn[0] if isinstance(drawn, list) and len(drawn) == 1 else drawn


def conv_block(x, filters, name, **kwargs):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name, **kwargs)(
        x
    )
    axis = 1 if kwargs.get("data_format") == "channels_first" else -1
    x = layers.BatchNormalization(axis, name=f"{name}_bn", dtype=kwargs.get("dtype"))(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def plain(dtype=None):
    x = inputs = keras.Input((9, 9, 3), dtype=dtype if dtype == "float64" else None)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="first", dtype=dtype)(x)
    x = layers.Conv2D(
        6, (3, 2), dilation_rate=(1, 2), padding="same", name="wide", dtype=dtype
    )(x)
    x = layers.BatchNormalization(name="bn", dtype=dtype)(x)
    x = conv_block(x, 5, "block", dtype=dtype)
    x = layers.Flatten(dtype=dtype)(x)
    return keras.Model(inputs, layers.Dense(4, name="head", dtype=dtype)(x))


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(2.0),
            layers.Conv2D(5, 3, name="a"),
            layers.BatchNormalization(name="bn"),
            layers.Conv2D(4, 1, activation="gelu", name="b"),
            layers.GlobalMaxPooling2D(),
        ]
    )


def operators():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", name="a")(inputs * 2.0 - 1.0)
    z = (1.0 - abs(x) + conv_block(x, 6, "b")) / 2.0
    z = ops.concatenate([z[..., :4], -ops.flip(z[..., 4:], axis=2)], axis=-1)
    z = ops.pad(z, [[0, 0], [1, 1], [1, 1], [0, 0]])
    z = layers.Conv2D(4, 1, name="c")(ops.reshape(z, (-1, 10, 10, 6)))
    z = ops.where(z > 0, z, 0.1 * z) ** 2
    return keras.Model(inputs, ops.mean(z[:, None], axis=(1, 2, 3)))


def conv1d():
    x = inputs = keras.Input((12, 3))
    x = layers.Conv1D(6, 3, dilation_rate=2, padding="causal", name="causal")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.SeparableConv1D(5, 3, depth_multiplier=2, name="separable")(x)
    x = layers.Conv1D(4, 3, strides=2, activation="tanh", name="strided")(x)
    return keras.Model(inputs, x)


def conv3d():
    x = inputs = keras.Input((6, 6, 6, 2))
    x = layers.Conv3D(5, 3, strides=2, padding="same", name="a")(x)
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, layers.Conv3D(3, 2, use_bias=False, name="b")(x))


def separable():
    x = inputs = keras.Input((9, 9, 4))
    x = layers.SeparableConv2D(
        6, 3, strides=2, depth_multiplier=2, activation="relu", name="a"
    )(x)
    x = layers.SeparableConv2D(5, 3, padding="same", use_bias=False, name="b")(x)
    return keras.Model(inputs, layers.BatchNormalization(name="bn")(x))


def left_alone():
    x = inputs = keras.Input((8, 8, 4))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_bn")(x)
    x = layers.Conv2D(6, 3, groups=2, name="grouped")(x)
    x = layers.BatchNormalization(name="grouped_bn")(x)
    x = layers.Conv2DTranspose(5, 3, name="transposed")(x)
    x = layers.BatchNormalization(name="transposed_bn")(x)
    return keras.Model(inputs, layers.Conv2D(3, 3, name="plain")(x))


def dense():
    x = inputs = keras.Input((5, 6))
    x = layers.Dense(7, activation="relu", name="wide")(x)
    x = layers.Dense(3, use_bias=False, name="narrow")(x)
    x = layers.BatchNormalization(name="bn")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="head")(x))


def dictionaries():
    inputs = {
        "image": keras.Input((8, 8, 3), name="image"),
        "extra": keras.Input((4,), name="extra"),
    }
    x = layers.Conv2D(5, 3, name="conv")(inputs["image"])
    y = layers.Dense(5, name="dense")(inputs["extra"])
    x = x * ops.reshape(y, (-1, 1, 1, 5))
    return keras.Model(inputs, {"map": x, "pooled": ops.mean(x, axis=(1, 2))})


def lists():
    a, b = keras.Input((8, 8, 3), name="b"), keras.Input((8, 8, 3), name="a")
    x = layers.Conv2D(4, 3, name="conv_a")(a)
    y = layers.Conv2D(4, 3, name="conv_b")(b)
    return keras.Model([a, b], [x - y, a, layers.Maximum()([x, y])])


def shared():
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    conv = layers.Conv2D(4, 3, name="conv", activation="relu")
    norm = layers.BatchNormalization(name="bn")
    raw = layers.Conv2D(5, 3, name="raw")
    x, y = norm(raw(conv(a))), norm(raw(conv(b)))
    return keras.Model([a, b], [x, conv(a), y])


def siamese():
    base = sequential()
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([a, b], abs(base(a) - base(b)))


def nested():
    x = inner_inputs = keras.Input((8, 8, 4))
    inner = keras.Model(inner_inputs, conv_block(x, 4, "conv"), name="inner")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    stem = keras.Sequential([layers.Conv2D(4, 1, name="conv")], name="stem")
    outer = keras.Model(inputs, inner(stem(x)) + x, name="outer")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="conv")(outer(x))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def nested_inference():
    x = inputs = keras.Input((9, 9, 3))
    x = plain()(x, training=False)
    return keras.Model(inputs, layers.Dense(2, name="top")(x))


def frozen():
    base = plain()
    base.trainable = False
    base.get_layer("wide").trainable = True
    x = inputs = keras.Input((9, 9, 3))
    return keras.Model(inputs, layers.Dense(2, name="top")(base(x)))


class FunctionalSubclass(keras.Model):
    """A subclass that is built with the Functional constructor."""

    def __init__(self, width=4):
        inputs = keras.Input((8, 8, 3))
        super().__init__(inputs, conv_block(inputs, width, "conv"))
        self.width = width


def intermediate():
    whole = plain()
    return keras.Model(whole.get_layer("first").output, whole.get_layer("block").output)


def channels_first():
    first = {"data_format": "channels_first"}
    x = inputs = keras.Input((4, 9, 9))
    x = layers.Conv2D(6, 3, strides=2, name="a", **first)(x)
    x = conv_block(x, 5, "b", **first)
    x = layers.SeparableConv2D(6, 3, name="c", padding="same", **first)(x)
    return keras.Model(
        inputs, layers.Conv2D(3, 1, activation="relu", name="d", **first)(x)
    )


def normalization():
    x = inputs = keras.Input((6, 6, 3))
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(1).normal(3.0, 2.0, (20, 6, 6, 3)))
    x = layers.Conv2D(4, 3, name="conv")(adapted(x))
    x = layers.LayerNormalization()(layers.GroupNormalization(2)(x))
    return keras.Model(inputs, layers.UnitNormalization()(x))


def wrappers():
    x = inputs = keras.Input((5, 6, 6, 2))
    x = layers.TimeDistributed(layers.Conv2D(4, 3, name="inner"), name="timed")(x)
    x = layers.TimeDistributed(layers.Flatten())(x)
    x, *states = layers.LSTM(6, return_sequences=True, return_state=True)(x)
    x = layers.LSTM(6, return_sequences=True)(x, initial_state=states)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 4)(query=x, value=x, key=ops.flip(x, axis=1))
    return keras.Model(inputs, layers.Conv1D(3, 2, name="conv")(x))


class Doubled(keras.layers.Layer):
    """A user's layer, not registered, with weights and a sublayer of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)
        self.norm = layers.BatchNormalization()

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.norm.build((*input_shape[:-1], self.units))

    def call(self, inputs):
        return 2.0 * self.norm(self.dense(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def weighed(x):
    """A user's activation, not registered."""
    return x * ops.sigmoid(x)


def squared(x):
    """Another one."""
    return ops.square(x)


def custom():
    shift = 0.5
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation=weighed, name="conv")(x)
    x = Doubled(5, name="doubled")(x)
    x = layers.Lambda(
        lambda t, factor: abs(t) * factor + shift, arguments={"factor": 3.0}
    )(x)
    x = layers.Dense(4, activation=squared, name="dense")(x)
    return keras.Model(inputs, x)


def none_sizes():
    x = inputs = keras.Input((None, None, 3))
    x = conv_block(x, 5, "a")
    x = layers.Conv2D(4, 3, strides=2, name="b")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def masked():
    x = inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 6, mask_zero=True)(x)
    x = layers.Dense(4, name="dense")(x)
    recurrent = keras.Sequential([layers.LSTM(5, return_sequences=True)])
    x = recurrent(x)
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(x))


KINDS = {
    "plain": plain,
    "sequential": sequential,
    "operators": operators,
    "conv1d": conv1d,
    "conv3d": conv3d,
    "separable": separable,
    "left_alone": left_alone,
    "dense": dense,
    "dictionaries": dictionaries,
    "lists": lists,
    "shared": shared,
    "siamese": siamese,
    "nested": nested,
    "nested_inference": nested_inference,
    "frozen": frozen,
    "subclass": FunctionalSubclass,
    "intermediate": intermediate,
    "channels_first": channels_first,
    "mixed_float16": lambda: plain("mixed_float16"),
    "mixed_bfloat16": lambda: plain("mixed_bfloat16"),
    "float64": lambda: plain("float64"),
    "normalization": normalization,
    "wrappers": wrappers,
    "custom": custom,
    "none_sizes": none_sizes,
    "masked": masked,
}
