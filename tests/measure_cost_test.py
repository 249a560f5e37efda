import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_basisprune import convert, cost
from keras_basisprune.measure import Cost


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
    assert cost(model, (8, 8, 3)).flops == 2 * 108 * 36
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


def test_what_no_rule_knows_is_named():
    inputs = keras.Input((6, 4))
    x = layers.LSTM(4, return_sequences=True, name="lstm")(inputs)
    x = layers.MultiHeadAttention(2, 3, name="heads")(x, x)
    x = layers.EinsumDense("abc,cd->abd", (6, 5), name="einsum")(x)
    x = layers.Attention(name="attention")([x, x])
    x = layers.Dot((2, 2), name="dot")([x, x])
    x = ops.matmul(x, x)
    x = ops.conv(x, np.ones((1, 6, 2), "float32"))
    x = ops.convert_to_tensor(x) + 1.0
    model = keras.Model(inputs, layers.Dense(2, name="dense")(x))
    counted = cost(model)
    named = [name.rstrip("_0123456789") for name in counted.uncounted]
    assert named == ["lstm", "heads", "einsum", "attention", "dot", "matmul", "conv"]
    assert counted.flops == 2 * 2 * 2 * 6
    assert counted.params == model.count_params()
    assert "FLOPs without lstm, heads" in str(counted)


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
