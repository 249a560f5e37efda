"""TFMOT's training of Keras 3 models: zeros, clusters and int8, counted in weights and
in the file, by an interpreter of the test itself."""

import ai_edge_litert.interpreter as litert
import keras
import numpy as np
import pytest
from keras import layers
from models import array, outputs, randomize

import keras_basisprune as kbp
from keras_basisprune.export import tfmot

QUIET = {"batch_size": 16, "verbose": 0}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((64, 12, 12, 3), dtype="float32")


def network():
    """Convolutions of every kind, BatchNormalization, a gate and operators."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Rescaling(2.0, -1.0)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depth")(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(8, 1, use_bias=False, name="point")(y)
    x = x + layers.BatchNormalization()(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = x * layers.Conv2D(8, 1, activation="hard_sigmoid", name="gate")(gate)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x))
    return randomize(model)


def labels_of(model, images):
    return outputs(model, images)[0].argmax(-1)


def run_file(path, images):
    """Outputs of a LiteRT file, one image at a time, as the float numbers they mean."""
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    given, found = (
        interpreter.get_input_details()[0],
        interpreter.get_output_details()[0],
    )
    rows = []
    for image in images:
        interpreter.set_tensor(given["index"], quantized(image[None], given))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(found["index"])[0])
    scale, zero = found["quantization"]
    rows = np.stack(rows)
    return (rows.astype("float32") - zero) * scale if scale else rows


def quantized(values, details):
    scale, zero = details["quantization"]
    if not scale:
        return values.astype(details["dtype"])
    return np.clip(np.round(values / scale + zero), -128, 127).astype("int8")


def test_pointwise_convolutions_get_zeros(images):
    model = network()
    before = [array(w) for w in model.weights]
    with pytest.warns(UserWarning, match="XNNPACK skips zeros only"):
        sparse = tfmot.prune_low_magnitude(model, images, sparsity=0.75, **QUIET)
    for name, share in {"point": 0.75, "gate": 0.75, "stem": 0.0, "head": 0.0}.items():
        kernel = array(sparse.get_layer(name).kernel)
        assert np.mean(kernel == 0) == share
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)
    assert not np.array_equal(array(sparse.get_layer("stem").kernel), before[0])
    norms = [layers.BatchNormalization]
    momenta = [
        [x.momentum for x in m.layers if type(x) in norms] for m in (model, sparse)
    ]
    assert momenta[0] == momenta[1] == [0.99, 0.99, 0.99]
    assert kbp.describe(sparse).decomposed == kbp.describe(model).decomposed


def test_zeros_are_in_the_file(images, tmp_path):
    labels = np.arange(64) % 4
    sparse = tfmot.prune_low_magnitude(
        network(), (images, labels), sparsity=0.5, layers="all", epochs=2, **QUIET
    )
    kernel = array(sparse.get_layer("head").kernel)
    assert np.mean(kernel == 0) == 0.5
    kbp.export_tflite(sparse, tmp_path / "sparse.tflite", samples=images[:4])
    found = run_file(tmp_path / "sparse.tflite", images[:8])
    np.testing.assert_allclose(found, outputs(sparse, images[:8])[0], atol=1e-5)


def test_xnnpack_runs_a_network_of_its_form(images, recwarn):
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, strides=2, name="stem")(layers.ZeroPadding2D(1)(x))
    x = layers.Conv2D(8, 1, name="point")(layers.ReLU()(x))
    x = layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    sparse = tfmot.prune_low_magnitude(model, (images, np.arange(64) % 3), **QUIET)
    assert np.mean(array(sparse.get_layer("point").kernel) == 0) == 0.75
    assert not [w for w in recwarn if "XNNPACK" in str(w.message)]


def test_few_distinct_weights(images, tmp_path):
    model = network()
    clustered = tfmot.cluster_weights(model, images, clusters=4, **QUIET)
    for name in ("stem", "point", "gate", "head"):
        assert len(np.unique(array(clustered.get_layer(name).kernel))) <= 4
    depthwise = [m.get_layer("depth").weights[0] for m in (model, clustered)]
    assert len(np.unique(array(depthwise[1]))) == array(depthwise[0]).size
    agree = labels_of(model, images) == labels_of(clustered, images)
    assert np.mean(agree) > 0.5


def test_int8_with_the_ranges_that_were_trained(images, tmp_path):
    model = network()
    before = [array(w) for w in model.weights]
    path = tmp_path / "small.tflite"
    record = tfmot.export_quantize_aware(model, path, images, epochs=2, **QUIET)
    assert record.quantization == "int8"
    assert record.bytes == path.stat().st_size
    assert record.float_share == 0.0
    assert record.integer_weights == 1.0
    # Inputs within a thousandth of a step of a tie are rounded up for the file only.
    assert record.max_abs_difference <= 4 / 255
    details = litert.Interpreter(str(path)).get_input_details()[0]
    assert details["dtype"] is np.int8
    found = run_file(path, images)
    wanted = outputs(model, images)[0]
    assert np.max(np.abs(found - wanted)) < 0.1
    assert np.mean(found.argmax(-1) == wanted.argmax(-1)) >= 0.9
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(weight), old)


def test_float_inputs_on_demand(images, tmp_path):
    path = tmp_path / "float.tflite"
    labels = np.arange(64) % 4
    tfmot.export_quantize_aware(
        network(), path, (images, labels), epochs=1, integer_io=False, **QUIET
    )
    details = litert.Interpreter(str(path)).get_input_details()[0]
    assert details["dtype"] is np.float32
    assert run_file(path, images[:2]).shape == (2, 4)


def test_says_what_there_is_nothing_of(images):
    x = inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, layers.Conv2D(4, 3, name="wide")(x))
    with pytest.raises(ValueError, match="layers for layers='pointwise'.*'all'"):
        tfmot.prune_low_magnitude(model, images, **QUIET)
    with pytest.raises(ValueError, match="more weights than `clusters`"):
        tfmot.cluster_weights(model, images, clusters=108, **QUIET)
