import keras
import numpy as np
import pytest
from keras import layers, ops
from models import Doubled

from keras_basisprune import convert
from keras_basisprune.measure import Cost, cost


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [
        # 2 x kernel weights x output positions
        (layers.Conv2D(4, 3), (8, 8, 3), 2 * (9 * 3 * 4) * 36),
        (layers.Conv2D(4, 3, padding="same"), (8, 8, 3), 2 * (9 * 3 * 4) * 64),
        (layers.Conv2D(4, 3, strides=2), (8, 8, 3), 2 * (9 * 3 * 4) * 9),
        (layers.Conv2D(4, (3, 1), strides=(1, 3)), (8, 8, 3), 2 * 36 * (6 * 3)),
        (layers.Conv2D(4, 3, dilation_rate=2), (8, 8, 3), 2 * (9 * 3 * 4) * 16),
        (layers.Conv2D(6, 3, groups=3), (8, 8, 3), 2 * (9 * 1 * 6) * 36),
        (layers.Conv1D(4, 3, padding="causal"), (10, 5), 2 * (3 * 5 * 4) * 10),
        (layers.Conv1D(4, 3, strides=2), (11, 5), 2 * (3 * 5 * 4) * 5),
        (layers.Conv3D(4, 2), (5, 4, 3, 2), 2 * (8 * 2 * 4) * (4 * 3 * 2)),
        (layers.DepthwiseConv2D(3), (8, 8, 3), 2 * (9 * 3) * 36),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 3), 2 * 54 * 36),
        (layers.DepthwiseConv1D(3, strides=2), (9, 4), 2 * (3 * 4) * 4),
        (layers.SeparableConv2D(5, 3), (8, 8, 3), 2 * (9 * 3 + 3 * 5) * 36),
        (
            layers.SeparableConv1D(5, 3, depth_multiplier=2),
            (9, 4),
            2 * (3 * 4 * 2 + 8 * 5) * 7,
        ),
        # 2 x kernel weights x input positions
        (layers.Conv2DTranspose(4, 3, strides=2), (8, 8, 3), 2 * (9 * 3 * 4) * 64),
        (layers.Conv1DTranspose(4, 3), (8, 3), 2 * (3 * 3 * 4) * 8),
        (layers.Conv3DTranspose(2, 2), (3, 4, 5, 3), 2 * (8 * 3 * 2) * 60),
        (layers.Dense(7), (5,), 2 * 5 * 7),
        (layers.Dense(7), (6, 5), 2 * 5 * 7 * 6),
        (layers.Dense(7), (2, 6, 5), 2 * 5 * 7 * 12),
        (layers.TimeDistributed(layers.Conv2D(4, 3)), (5, 8, 8, 3), 5 * 2 * 108 * 36),
        # 2 x both kernels x time steps
        (layers.SimpleRNN(5), (7, 3), 2 * 7 * (3 * 5 + 5 * 5)),
        (layers.GRU(5, reset_after=False), (7, 3), 2 * 7 * 3 * (3 * 5 + 5 * 5)),
        (layers.LSTM(5, return_sequences=True), (7, 3), 2 * 7 * 4 * (15 + 25)),
        (layers.RNN(layers.LSTMCell(5)), (7, 3), 2 * 7 * 4 * (15 + 25)),
        (layers.Bidirectional(layers.GRU(5)), (7, 3), 2 * 2 * 7 * 3 * (15 + 25)),
        (
            layers.Bidirectional(
                layers.LSTM(2), backward_layer=layers.GRU(3, go_backwards=True)
            ),
            (7, 3),
            2 * 7 * (4 * (3 * 2 + 2 * 2) + 3 * (3 * 3 + 3 * 3)),
        ),
        (
            layers.TimeDistributed(layers.SimpleRNN(5)),
            (4, 7, 3),
            4 * 2 * 7 * (15 + 25),
        ),
        # The kernel at 6 x 6 positions, the recurrent one at as many
        (
            layers.ConvLSTM2D(4, 3, return_sequences=True),
            (5, 8, 8, 3),
            2 * 5 * 36 * (9 * 3 * 16 + 9 * 4 * 16),
        ),
        (
            layers.ConvLSTM1D(4, 3, data_format="channels_first"),
            (5, 3, 8),
            2 * 5 * 6 * (3 * 3 * 16 + 3 * 4 * 16),
        ),
        # All indices of the equation
        (layers.EinsumDense("abc,cd->abd", (6, 7)), (6, 5), 2 * 6 * 5 * 7),
        (layers.EinsumDense("...x,xy->...y", 7), (2, 6, 5), 2 * 12 * 5 * 7),
        (layers.EinsumDense("abcd,cde->abe", (6, 7)), (6, 5, 4), 2 * 6 * 20 * 7),
        (layers.EinsumDense("abc,bcd->abd", (6, 7)), (6, 5), 2 * 6 * 5 * 7),
        (layers.EinsumDense("abc,cd->ad", 7), (6, 5), 2 * 6 * 5 * 7),
        (layers.BatchNormalization(), (8, 8, 3), 0),
        (layers.MaxPooling2D(), (8, 8, 3), 0),
        (layers.PReLU(), (8, 8, 3), 0),
        (layers.LayerNormalization(axis=(1, 2, 3)), (8, 8, 3), 0),
    ],
)
def test_by_hand(layer, shape, wanted):
    model = keras.Sequential([keras.Input(shape), layer])
    counted = cost(model)
    assert counted.flops == wanted
    assert counted.params == model.count_params()
    assert counted.uncounted == ()


def test_channels_first_needs_no_execution():
    def stack(shape, data_format):
        return keras.Sequential(
            [
                keras.Input(shape),
                layers.Conv2D(4, 3, strides=2, data_format=data_format),
                layers.DepthwiseConv2D(2, data_format=data_format),
                layers.SeparableConv2D(3, 2, data_format=data_format),
                layers.Conv2DTranspose(2, 3, data_format=data_format),
            ]
        )

    model = stack((3, 9, 7), "channels_first")
    assert model.output_shape == (None, 2, 4, 3)
    assert cost(model).flops == cost(stack((9, 7, 3), "channels_last")).flops
    # 4x3 positions, then 3x2, 2x1; the transposed one reads 2x1
    wanted = 108 * 12 + 16 * 6 + (16 + 12) * 2 + (9 * 3 * 2) * 2
    assert cost(model).flops == 2 * wanted


def test_layers_are_listed_in_order():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="head"),
        ]
    )
    counted = cost(model)
    rows = [(x.name, x.kind, x.params, x.flops, x.bytes) for x in counted.layers]
    assert rows == [
        ("conv", "Conv2D", 112, 2 * 108 * 36, 448),
        ("bn", "BatchNormalization", 16, 0, 64),
        ("head", "Dense", 290, 2 * 288, 1160),
    ]
    assert counted.params == 112 + 16 + 290
    assert counted.flops == 2 * 108 * 36 + 2 * 288
    assert counted.bytes == 4 * counted.params
    assert str(counted) == "418 parameters, 8,352 FLOPs, 1,672 bytes"


def test_a_shared_layer_works_twice_and_weighs_once():
    a, b = keras.Input((8, 8, 3)), keras.Input((6, 6, 3))
    conv = layers.Conv2D(4, 3, name="conv")
    model = keras.Model([a, b], [conv(a), conv(b)])
    counted = cost(model)
    assert counted.flops == 2 * 108 * (36 + 16)
    assert counted.params == 112 == model.count_params()
    assert len(counted.layers) == 1


def test_a_weight_of_two_layers_counts_once():
    conv = layers.Conv2D(4, 3, name="conv")
    inputs = keras.Input((8, 8, 3))
    x = conv(inputs)
    model = keras.Model(inputs, [x, layers.TimeDistributed(conv)(inputs[:, None])])
    assert model.count_params() == 112
    assert cost(model).params == 112
    assert cost(model).flops == 2 * 2 * 108 * 36


def test_nested_models_count_each_call():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 1, name="a")])
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(2)(layers.Flatten()(inner(inner(inputs))))
    model = keras.Model(inputs, outputs)
    assert cost(model).flops == 2 * 9 * 64 * 2 + 2 * 192 * 2
    assert cost(model).params == model.count_params()


def test_converted_layers():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="a")])
    converted = convert(model, rank=2)
    counted = cost(converted)
    assert [(x.name, x.flops) for x in counted.layers] == [
        ("a_basis", 2 * 27 * 2 * 36),
        ("a_scaling", 2 * 2 * 4 * 36),
    ]
    assert counted.params == converted.count_params() == 54 + 2 + 2 + 8 + 4


def test_unknown_sizes():
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    with pytest.raises(
        ValueError, match=r"shape=\(None, None, None, 4\) at `conv`. Pass `input_shape`"
    ):
        cost(model)
    assert cost(model, input_shape=(8, 8, 3)).flops == 2 * 108 * 36
    assert cost(model, input_shape=(5, 6, 3)).flops == 2 * 108 * 12


def test_input_shape_is_for_one_input():
    a, b = keras.Input((None, 3)), keras.Input((None, 3))
    model = keras.Model([a, b], layers.Dense(2)(a + b))
    with pytest.raises(ValueError, match="a model with several inputs"):
        cost(model, input_shape=(8, 3))


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float32", 4), ("mixed_float16", 4), ("bfloat16", 2), ("float64", 8)],
)
def test_bytes_follow_the_dtype(dtype, size):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype=dtype)])
    assert cost(model).bytes == 15 * size


class Codes(layers.Layer):
    """A layer with weights that are not float32."""

    def build(self, shape):
        for dtype in ("int8", "bool", "uint16", "int64"):
            self.add_weight(
                shape=(6,), dtype=dtype, trainable=False, initializer="zeros"
            )

    def call(self, inputs):
        return inputs


def test_bytes_of_other_dtypes():
    model = keras.Sequential([keras.Input((4,)), Codes()])
    assert cost(model).params == 24
    assert cost(model).bytes == 6 * (1 + 1 + 2 + 8)


def attended(make, *shapes):
    """FLOPs and uncounted layers of a layer of several tensors."""
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, make(*inputs))
    counted = cost(model)
    assert counted.params == model.count_params()
    return counted.flops, counted.uncounted


ATTENDED = {
    # Scores 6 x 7 of 5 numbers each, then as many sums of values
    "attention": (
        lambda q, v: layers.Attention()([q, v]),
        [(6, 5), (7, 5)],
        2 * 6 * 7 * (5 + 5),
    ),
    "attention_with_a_key": (
        lambda q, v, k: layers.Attention()([q, v, k]),
        [(6, 5), (7, 3), (7, 5)],
        2 * 6 * 7 * (5 + 3),
    ),
    "additive": (
        lambda q, v: layers.AdditiveAttention()([q, v]),
        [(6, 5), (7, 5)],
        2 * 6 * 7 * (5 + 5),
    ),
    "additive_without_a_scale": (
        lambda q, v: layers.AdditiveAttention(use_scale=False)([q, v]),
        [(6, 5), (7, 5)],
        2 * 6 * 7 * 5,
    ),
    # Projections to two heads of three, scores, values of four, projection back
    "heads": (
        lambda q, v, k: layers.MultiHeadAttention(2, 3, value_dim=4)(q, v, k),
        [(6, 5), (7, 8), (7, 9)],
        2
        * (
            6 * 5 * 6
            + 7 * 8 * 8
            + 7 * 9 * 6
            + 6 * 7 * 2 * 3
            + 6 * 7 * 2 * 4
            + 6 * 8 * 5
        ),
    ),
    "heads_by_keyword": (
        lambda q, v: layers.MultiHeadAttention(2, 3, output_shape=4)(value=v, query=q),
        [(6, 5), (7, 8)],
        2 * (6 * 5 * 6 + 2 * 7 * 8 * 6 + 2 * 6 * 7 * 6 + 6 * 6 * 4),
    ),
    # Along the second of two axes only
    "heads_along_an_axis": (
        lambda q: layers.MultiHeadAttention(2, 3, attention_axes=2)(q, q),
        [(4, 6, 5)],
        2 * (3 * 24 * 5 * 6 + 2 * 4 * 6 * 6 * 6 + 24 * 6 * 5),
    ),
    # Four query heads, two of keys and values; a gate like the query
    "grouped": (
        lambda q, v: layers.GroupQueryAttention(3, 4, 2, use_gate=True)(q, v),
        [(6, 5), (7, 5)],
        2 * (2 * 6 * 5 * 12 + 2 * 7 * 5 * 6 + 2 * 6 * 7 * 12 + 6 * 12 * 5),
    ),
    "dot": (
        lambda a, b: layers.Dot((2, 2))([a, b]),
        [(6, 5), (7, 5)],
        2 * 6 * 7 * 5,
    ),
}


@pytest.mark.parametrize("name", ATTENDED)
def test_attention_by_hand(name):
    make, shapes, wanted = ATTENDED[name]
    assert attended(make, *shapes) == (wanted, ())


@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.LSTM(3, name="layer")(x),
        lambda x: layers.Bidirectional(layers.GRU(3), name="layer")(x),
        lambda x: layers.MultiHeadAttention(2, 3, name="layer")(x, x),
        lambda x: layers.Attention(name="layer")([x, x]),
        lambda x: layers.EinsumDense("abc,cd->abd", (None, 3), name="layer")(x),
    ],
)
def test_sequences_of_unknown_length_are_named(make):
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, make(inputs))
    assert cost(model).uncounted == ("layer",)
    known = cost(model, input_shape=(6, 4))
    assert known.uncounted == () and known.flops > 0


class Gated(layers.Layer):
    """A user's layer that multiplies tensors, without a weight of several axes."""

    def call(self, inputs):
        return ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))

    def compute_output_shape(self, shape):
        return (*shape[:-1], shape[-2])


class Sharpened(layers.Conv1D):
    """A user's convolution."""


def test_what_no_rule_knows_is_named():
    inputs = keras.Input((6, 4))
    x = ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))
    x = ops.conv(x, np.ones((1, 6, 2), "float32"))
    x = ops.convert_to_tensor(x) + 1.0
    x = Gated(name="gated")(Doubled(5, name="doubled")(x))
    x = layers.Lambda(lambda t: t @ t, name="lambda")(x)
    x = layers.TimeDistributed(Gated(), name="timed")(x[:, None])[:, 0]
    x = layers.RNN(layers.StackedRNNCells([layers.GRUCell(3)]), name="stacked")(x)
    x = Sharpened(4, 1, name="sharpened")(x[:, None])
    model = keras.Model(inputs, layers.Dense(2, name="dense")(x))
    counted = cost(model)
    named = [name.rstrip("_0123456789") for name in counted.uncounted]
    wanted = ["matmul", "conv", "gated", "doubled", "lambda", "timed", "stacked"]
    assert sorted(named) == sorted(wanted)
    assert counted.flops == 2 * (3 * 4 + 4 * 2)
    assert counted.params == model.count_params()
    assert "FLOPs without matmul" in str(counted)
    assert str(counted).endswith(" and 2 more)")


def test_a_lookup_has_no_flops():
    model = keras.Sequential([keras.Input((3,)), layers.Embedding(10, 4)])
    assert cost(model).flops == 0
    assert cost(model).uncounted == ()
    assert cost(model).params == 40


def test_refuses_a_subclassed_model():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="Expected `model` to be a built Functional"):
        cost(Subclassed())


def profiled(model):
    """FLOPs of the products by TensorFlow's own profiler, for one sample."""
    import tensorflow as tf

    shape = (1, *model.input_shape[1:])
    function = tf.function(lambda x: model(x, training=False))
    graph = function.get_concrete_function(tf.TensorSpec(shape)).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    profile = tf.compat.v1.profiler.profile(graph, options=options, cmd="op")
    kinds = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2", "Conv3D")
    found, pending = 0, list(profile.children)
    while pending:
        node = pending.pop()
        found += node.float_ops * (node.name in kinds)
        pending += node.children
    return found


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("MobileNetV2", 32),
        ("Xception", 71),
        ("ResNet50", 32),
        ("EfficientNetB0", 33),
        ("DenseNet121", 32),
    ],
)
def test_against_the_profiler_of_tensorflow(name, size):
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(size, size, 3), classes=10)
    counted = cost(model)
    assert counted.flops == profiled(model) > 1e6
    assert counted.params == model.count_params()
    assert counted.bytes == sum(w.nbytes for w in model.get_weights())
    assert counted.uncounted == ()


def test_is_a_frozen_record():
    counted = cost(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    assert isinstance(counted, Cost)
    with pytest.raises(AttributeError, match="cannot assign to field"):
        counted.flops = 0
