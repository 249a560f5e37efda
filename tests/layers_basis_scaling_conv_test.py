import keras
import numpy as np
import pytest
from models import array, identical, outputs, relative_difference

import keras_basisprune as kbp

SHAPES = [(4,), (7, 4), (5, 6, 4), (3, 4, 2, 4), (2, 3, 2, 2, 4)]


def built(shape, filters=5, **kwargs):
    """A layer with random weights, and the weights."""
    layer = kbp.BasisScalingConv(filters, **kwargs)
    layer.build((None, *shape))
    rng = np.random.default_rng(0)
    weights = {}
    for name in ("scale", "mask", "kernel", "bias"):
        variable = getattr(layer, name)
        if variable is not None:
            weights[name] = rng.standard_normal(variable.shape)
    weights["mask"] = np.array([1.0, 0.0, 1.0, 1.0])
    for name, value in weights.items():
        getattr(layer, name).assign(value)
    return layer, weights


def expected(x, scale, mask, kernel, bias=0.0):
    """What the layer computes, in NumPy; channels last."""
    return (x * (scale * mask)) @ kernel + bias


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_numpy(shape, use_bias):
    layer, weights = built(shape, use_bias=use_bias, activation="tanh")
    x = np.random.default_rng(1).standard_normal((2, *shape))
    result = array(layer(x.astype("float32")))
    assert relative_difference(np.tanh(expected(x, **weights)), result) <= 1e-6
    assert layer.compute_output_shape((None, *shape)) == (None, *shape[:-1], 5)
    assert (layer.bias is not None) == use_bias


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_equals_numpy_with_channels_first(shape):
    first = (shape[-1], *shape[:-1])
    layer, weights = built(first, data_format="channels_first")
    x = np.random.default_rng(1).standard_normal((2, *first))
    result = np.moveaxis(array(layer(x.astype("float32"))), 1, -1)
    assert (
        relative_difference(expected(np.moveaxis(x, 1, -1), **weights), result) <= 1e-6
    )
    assert layer.compute_output_shape((None, *first)) == (None, 5, *shape[:-1])


def test_new_layers_let_everything_pass():
    layer = kbp.BasisScalingConv(5)
    layer.build((None, 3, 3, 4))
    np.testing.assert_array_equal(array(layer.scale), np.ones(4))
    np.testing.assert_array_equal(array(layer.mask), np.ones(4))
    np.testing.assert_array_equal(array(layer.bias), np.zeros(5))


def test_a_masked_basis_contributes_nothing():
    layer, weights = built((5, 6, 4))
    x = np.random.default_rng(1).standard_normal((2, 5, 6, 4)).astype("float32")
    before = array(layer(x))
    x[..., 1] = 1e6  # the masked one
    np.testing.assert_array_equal(before, array(layer(x)))
    layer.mask.assign(np.zeros(4))
    expected = np.broadcast_to(weights["bias"].astype("float32"), before.shape)
    np.testing.assert_array_equal(array(layer(x)), expected)


def test_a_scale_acts_linearly_on_its_basis():
    layer, weights = built((4,))
    x = np.eye(4, dtype="float32")
    before = array(layer(x)) - weights["bias"].astype("float32")
    layer.scale.assign(weights["scale"] * [1.0, 1.0, 3.0, 1.0])
    after = array(layer(x)) - weights["bias"].astype("float32")
    np.testing.assert_allclose(after[2], 3.0 * before[2], rtol=1e-5)
    np.testing.assert_array_equal(after[[0, 1, 3]], before[[0, 1, 3]])


def test_only_the_scale_can_be_trained():
    layer, _ = built((4,))
    assert [v.name for v in layer.trainable_variables] == ["scale"]
    assert {v.name for v in layer.non_trainable_variables} == {"mask", "kernel", "bias"}
    layer.trainable = False
    assert not layer.trainable_variables
    layer.trainable = True
    assert [v.name for v in layer.trainable_variables] == ["scale"]


def test_gradient_of_the_scale_against_finite_differences():
    shape = (3, 4, 4)
    layer, weights = built(shape, activation="tanh", dtype="float64")
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, *shape)), rng.standard_normal((2, 3, 4, 5))
    inputs = keras.Input(shape, dtype="float64")
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1.0), _half_square, jit_compile=False)

    def loss(scale):
        outputs = np.tanh(expected(x, **{**weights, "scale": scale}))
        return np.mean((outputs - y) ** 2) / 2.0

    step = 1e-6
    numeric = [
        (loss(weights["scale"] + e) - loss(weights["scale"] - e)) / (2.0 * step)
        for e in step * np.eye(4)
    ]
    model.train_on_batch(x, y)
    gradient = weights["scale"] - array(layer.scale)  # the rate is 1
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-8)
    assert gradient[1] == 0.0  # masked
    assert np.all(gradient[[0, 2, 3]] != 0.0)
    for name in ("mask", "kernel", "bias"):
        np.testing.assert_array_equal(array(getattr(layer, name)), weights[name])


def _half_square(targets, predictions):
    targets = keras.ops.cast(targets, predictions.dtype)
    return keras.ops.mean((predictions - targets) ** 2) / 2.0


def test_l1_is_short_for_a_regularizer():
    short, weights = built((4,), l1=0.01)
    long, _ = built((4,), scale_regularizer=keras.regularizers.L1(0.01))
    named, _ = built((4,), scale_regularizer="l2")
    none, _ = built((4,), l1=0.0)
    absolute = 0.01 * np.abs(weights["scale"]).sum()
    assert float(sum(short.losses)) == pytest.approx(absolute, rel=1e-6)
    assert float(sum(long.losses)) == pytest.approx(absolute, rel=1e-6)
    squares = 0.01 * (weights["scale"] ** 2).sum()
    assert float(sum(named.losses)) == pytest.approx(squares, rel=1e-6)
    assert none.losses == []
    config = short.get_config()["scale_regularizer"]["config"]
    assert config == {"l1": pytest.approx(0.01)}


def test_the_config_makes_the_same_layer():
    layer = kbp.BasisScalingConv(
        5,
        activation="relu",
        use_bias=False,
        l1=0.01,
        energy=0.5,
        data_format="channels_first",
        activity_regularizer="l2",
        dtype="mixed_bfloat16",
        name="layer",
        trainable=False,
    )
    config = layer.get_config()
    again = kbp.BasisScalingConv.from_config(config)
    assert again.get_config() == config
    assert config["filters"] == 5
    assert config["energy"] == 0.5
    assert config["activation"] == "relu"
    assert config["use_bias"] is False
    assert float(again.scale_regularizer.l1) == pytest.approx(0.01)
    assert again.trainable is False
    assert again.compute_dtype == "bfloat16"


def test_a_saved_layer_is_the_same_to_the_bit(tmp_path):
    layer, _ = built((6, 6, 4), activation="gelu", l1=0.1)
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, layer(inputs))
    x = np.random.default_rng(1).standard_normal((2, 6, 6, 4)).astype("float32")
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    assert identical(outputs(model, x), outputs(loaded, x))
    assert loaded.layers[1].get_config() == layer.get_config()
    registered = "keras_basisprune>BasisScalingConv"
    assert keras.saving.get_registered_object(registered) is kbp.BasisScalingConv


@pytest.mark.parametrize(
    ("policy", "dtype", "tolerance"),
    [("mixed_float16", "float16", 5e-3), ("mixed_bfloat16", "bfloat16", 4e-2)],
)
def test_mixed_precision(policy, dtype, tolerance):
    layer, weights = built((5, 6, 4), dtype=policy)
    x = np.random.default_rng(1).standard_normal((2, 5, 6, 4)).astype("float32")
    result = layer(x)
    assert keras.backend.standardize_dtype(result.dtype) == dtype
    assert {v.dtype for v in layer.variables} == {"float32"}
    result = array(result).astype("float32")
    assert relative_difference(expected(x, **weights), result) <= tolerance


def test_a_mask_of_time_steps_passes_through():
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(5, 4, mask_zero=True)(inputs)
    pooled = keras.layers.GlobalAveragePooling1D()(kbp.BasisScalingConv(2)(x))
    model = keras.Model(inputs, pooled)
    full, padded = (array(model(np.array([x]))) for x in ([1, 2], [1, 2, 0]))
    np.testing.assert_allclose(full, padded, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, r"`filters` to be a positive integer.*filters=0"),
        ({"filters": 2.0}, r"`filters` to be a positive integer.*filters=2.0"),
        (
            {"filters": 2, "l1": 0.1, "scale_regularizer": "l2"},
            r"one of `l1` and `scale_regularizer`.*l1=0.1.*regularizers.L1\(l1\)",
        ),
        (
            {"filters": 2, "data_format": "NHWC"},
            r"`data_format` to be 'channels_last'.*data_format='NHWC'",
        ),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        kbp.BasisScalingConv(**arguments)


@pytest.mark.parametrize(
    ("shape", "data_format", "message"),
    [
        ((4,), None, r"batch and channel axes.*input_shape=\(4,\)"),
        ((1, 4, 2, 2, 2, 2), "channels_first", r"at most three.*\(1, 4, 2, 2, 2, 2\)"),
        ((None, 3, None), None, r"known number of basis features.*\(None, 3, None\)"),
    ],
)
def test_wrong_input_shapes(shape, data_format, message):
    with pytest.raises(ValueError, match=message):
        kbp.BasisScalingConv(2, data_format=data_format).build(shape)


def test_inputs_of_another_width_are_refused():
    layer, _ = built((5, 6, 4))
    with pytest.raises(ValueError, match="expected axis -1 of input shape"):
        layer(np.zeros((1, 5, 6, 3), "float32"))
