"""Files of quantization-aware networks compute what these compute, in integers."""

import keras
import numpy as np
import pytest
from by_interpreter import steps_apart
from keras import layers
from models import identical, outputs, randomize

import keras_basisprune as kbp
from keras_basisprune.export import predict_tflite
from keras_basisprune.export.float_operations import float_operations
from keras_basisprune.export.reading.operations import operations


def images(count=24, size=16, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size, size, 3)).astype("float32")


def classifier():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = layers.Conv2D(12, 1)(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def unet():
    def block(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = keras.Input((16, 16, 3))
    first = block(inputs, 6)
    second = block(layers.AveragePooling2D(2)(first), 8)
    x = block(layers.MaxPooling2D(2)(second), 8)
    x = layers.Conv2DTranspose(8, 2, strides=2, activation="relu")(x)
    x = block(layers.Concatenate()([x, second]), 8)
    x = layers.UpSampling2D(2)(x)
    x = block(layers.Concatenate()([x, first]), 6)
    return keras.Model(inputs, layers.Conv2D(4, 1, name="logits")(x))


def pre_activation():
    """BatchNormalization that no convolution can take, and several activations."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(2.0, offset=-0.5)(x)
    x = layers.SeparableConv2D(8, 3, activation="silu")(x)
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, activation="relu6")(x)])
    x = layers.Add()([x, layers.Conv2D(12, 1, activation="tanh")(x)])
    x = layers.ReLU()(layers.BatchNormalization()(x))
    gate = layers.Dense(12, activation="sigmoid")(layers.GlobalMaxPooling2D()(x))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 12))(gate)])
    x = layers.Flatten()(layers.AveragePooling2D(7)(x))
    x = layers.BatchNormalization()(layers.Dense(6, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def gated():
    """Blocks with squeeze-and-excitation, as EfficientNet has them."""
    x = inputs = keras.Input((16, 16, 3))
    for _ in range(2):
        x = layers.Conv2D(12, 3, padding="same", activation="silu")(x)
        gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
        gate = layers.Conv2D(4, 1, activation="silu")(gate)
        gate = layers.Conv2D(12, 1, activation="sigmoid")(gate)
        x = layers.Multiply()([x, gate])
        y = layers.DepthwiseConv2D(3, padding="same", activation="silu")(x)
        x = x + layers.Conv2D(12, 1)(y)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


KINDS = {f.__name__: f for f in (classifier, unet, pre_activation, gated)}


@pytest.fixture(scope="module", params=KINDS)
def network(request):
    keras.utils.set_random_seed(0)
    return randomize(KINDS[request.param]())


@pytest.mark.parametrize("ranges", ["moving", "learned"])
def test_the_file_computes_what_keras_computes(network, ranges, tmp_path):
    x = images()
    rounded = kbp.quantize_aware(network, x, ranges=ranges, verbose=0)
    path = tmp_path / "int8.tflite"
    record = kbp.export_tflite(rounded, path, samples=x)
    assert record.quantization == "int8"
    assert record.float_ops == {}
    assert "QUANTIZE" not in record.ops
    assert "DEQUANTIZE" not in record.ops
    assert float_operations(path).weights == 1.0
    expected = rounded.predict(x, verbose=0)
    assert steps_apart(path, x, expected) == (0.0, 1.0)
    assert record.max_relative_difference < 1e-6


def test_it_is_close_to_the_float_network(network):
    x = images()
    rounded = kbp.quantize_aware(network, x, verbose=0)
    (was,), (now,) = outputs(network, x), outputs(rounded, x)
    error = np.abs(now - was).max() / np.abs(was).max()
    assert 0 < error < 0.15


@pytest.mark.parametrize(
    ("rounding", "most"), [("nearest", 0.02), ("compensated", 0.03)]
)
def test_fold_takes_the_rounding_out(network, rounding, most):
    x = images()
    rounded = kbp.quantize_aware(network, x, rounding=rounding, verbose=0)
    plain = kbp.fold(rounded)
    assert {type(layer).__module__.split(".")[0] for layer in plain.layers} == {"keras"}
    (was,), (now,) = outputs(network, x), outputs(plain, x)
    # Biases are corrected for rounding: that of kernels, and of activations, too.
    assert np.abs(now - was).max() <= most * np.abs(was).max()


def test_saved_and_loaded(network, tmp_path):
    x = images()
    rounded = kbp.quantize_aware(network, x, ranges="learned", verbose=0)
    rounded.save(tmp_path / "rounded.keras")
    loaded = keras.models.load_model(tmp_path / "rounded.keras")
    assert identical(outputs(loaded, x), outputs(rounded, x))


def test_float_inputs_and_outputs(tmp_path):
    x = images()
    rounded = kbp.quantize_aware(randomize(classifier()), x, verbose=0)
    path = tmp_path / "int8.tflite"
    record = kbp.export_tflite(rounded, path, samples=x, integer_io=False)
    assert record.ops["QUANTIZE"] == record.ops["DEQUANTIZE"] == 1
    expected = rounded.predict(x, verbose=0)
    found = kbp.export.predict_tflite(path, x, verbose=0)
    assert np.abs(found - expected).max() <= 1 / 256


def test_other_quantizations_are_refused(tmp_path):
    rounded = kbp.quantize_aware(classifier(), images(4), verbose=0)
    with pytest.raises(ValueError, match="`quantization` to be None or 'int8'"):
        kbp.export_tflite(rounded, tmp_path / "a.tflite", quantization="float16")
    assert not list(tmp_path.iterdir())


def test_four_bits_are_packed(tmp_path):
    x = images()
    network = randomize(classifier())
    rounded = kbp.quantize_aware(network, x, weight_bits=4, ranges="learned", verbose=0)
    path = tmp_path / "int4.tflite"
    record = kbp.export_tflite(rounded, path, samples=x)
    dtypes = {
        op.name: op.inputs[1].dtype for op in operations(path) if len(op.inputs) == 3
    }
    assert dtypes["CONV_2D"] == "INT4"
    assert dtypes["DEPTHWISE_CONV_2D"] == "INT8"
    assert record.float_ops == {}
    largest, same = steps_apart(path, x, rounded.predict(x, verbose=0))
    assert largest <= 2
    assert same == 1.0


def test_sixteen_bits_lose_next_to_nothing(tmp_path):
    x = images()
    network = randomize(classifier())
    rounded = kbp.quantize_aware(network, x, activation_bits=16, verbose=0)
    path = tmp_path / "int16.tflite"
    record = kbp.export_tflite(rounded, path, samples=x)
    assert record.float_ops == {"SOFTMAX": 1, "CAST": 2}
    expected = rounded.predict(x, verbose=0)
    assert steps_apart(path, x, expected)[0] <= 2
    error = np.abs(expected - network.predict(x, verbose=0)).max()
    assert 0 < error < 0.01


def test_excluded_layers_stay_in_float(tmp_path):
    x = images()
    rounded = kbp.quantize_aware(
        randomize(classifier()), x, exclude=["dense.*"], verbose=0
    )
    path = tmp_path / "int8.tflite"
    record = kbp.export_tflite(rounded, path, samples=x)
    assert record.float_ops["FULLY_CONNECTED"] == 1
    assert "CONV_2D" not in record.float_ops
    largest, _ = steps_apart(path, x, rounded.predict(x, verbose=0))
    assert largest <= 2


def test_pixels_from_minus_one_to_one(tmp_path):
    """All of them are halfway between two integers."""
    pixels = np.arange(256, dtype="float32")
    layer = kbp.layers.FixedFakeQuantize(-1.0, 1.0, ties_up=True)
    step = 2 / 255
    expected = (pixels - 127) * step
    for values in (pixels / np.float32(127.5) - 1, pixels * np.float32(2 / 255) - 1):
        found = np.array(layer(values))
        assert np.abs(found - expected).max() < 1e-5
    rng = np.random.default_rng(0)
    images_of_pixels = rng.integers(0, 256, (24, 16, 16, 3)) / np.float32(127.5) - 1
    network = randomize(classifier())
    rounded = kbp.quantize_aware(network, images_of_pixels, verbose=0)
    path = tmp_path / "pixels.tflite"
    kbp.export_tflite(rounded, path)
    expected = rounded.predict(images_of_pixels, verbose=0)
    assert steps_apart(path, images_of_pixels, expected) == (0.0, 1.0)
    found = predict_tflite(path, images_of_pixels, verbose=0)
    assert np.abs(found - expected).max() < 1e-6


def test_compared_with_another_network(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    x = np.random.default_rng(0).standard_normal((40, 4)).astype("float32")
    rounded, path = kbp.quantize_aware(model, x, verbose=0), tmp_path / "a.tflite"
    own = kbp.export_tflite(rounded, path, samples=x)
    found = kbp.export_tflite(rounded, path, samples=x, reference=model)
    difference = np.abs(predict_tflite(path, x) - model.predict(x, verbose=0)).max()
    assert found.max_abs_difference == pytest.approx(difference, rel=1e-4)
    assert found.max_abs_difference > own.max_abs_difference
    with pytest.raises(ValueError, match="within `tolerance`"):
        kbp.export_tflite(rounded, path, samples=x, reference=model, tolerance=1e-6)
    other = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="`reference` to have inputs and outputs of"):
        kbp.export_tflite(rounded, path, reference=other)
