"""Models that `keras.Model.quantize` has changed: exported or refused by name."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from models import outputs

import keras_basisprune as kbp


def network(nested=False):
    x = inputs = keras.Input((64,))
    x = layers.Dense(32, "relu", name="wide")(x)
    inner = keras.Model(inputs, x, name="inner")
    start = keras.Input((64,))
    x = inner(start) if nested else x
    return keras.Model(start if nested else inputs, layers.Dense(8, name="head")(x))


def changed(model, mode, nested):
    for layer in model.layers[1].layers if nested else model.layers:
        if layer.name == "wide":
            layer.quantize(mode)
    return model


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_other_quantized_layers_are_named(mode, nested, tmp_path):
    model = changed(network(nested), mode, nested)
    told = rf"\['wide'\], quantized to \['{mode}'\]. Export the model from before"
    for quantization in (None, "dynamic"):
        with pytest.raises(ValueError, match=told):
            kbp.export_tflite(model, tmp_path / "a.tflite", quantization=quantization)
    with pytest.raises(ValueError, match=told):
        kbp.export_saved_model(model, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_other_classes_are_named(tmp_path):
    inputs = keras.Input((4, 8))
    x = layers.EinsumDense("abc,cd->abd", (None, 6), name="einsum")(inputs)
    model = keras.Model(inputs, x)
    model.quantize("int8")
    with pytest.raises(ValueError, match=r"Dense and Embedding.*\['einsum'\]"):
        kbp.export_tflite(model, tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nested", [False, True])
def test_integers_of_keras_are_those_of_the_file(nested, tmp_path):
    keras.utils.set_random_seed(0)
    model = changed(network(nested), "int8", nested)
    inside = model.layers[1] if nested else model
    integers = keras.ops.convert_to_numpy(inside.get_layer("wide").kernel)
    scale = keras.ops.convert_to_numpy(inside.get_layer("wide").kernel_scale)
    path, x = tmp_path / "a.tflite", np.random.default_rng(0).normal(size=(32, 64))
    record = kbp.export_tflite(model, path, quantization="dynamic", samples=x)
    assert record.dequantized == ("wide",)
    assert "from int8   wide: of Keras" in str(record)
    runtime = Interpreter(str(path))
    runtime.allocate_tensors()
    (held,) = (
        one
        for one in runtime.get_tensor_details()
        if one["dtype"] is np.int8 and tuple(one["shape"]) == (32, 64)
    )
    np.testing.assert_array_equal(runtime.get_tensor(held["index"]), integers.T)
    scales = held["quantization_parameters"]["scales"]
    np.testing.assert_allclose(scales, 1 / scale, rtol=1e-5)
    # Keras rounds the inputs too, to 1 / 127 of the largest of a sample.
    wanted = outputs(model, x)[0]
    found = kbp.export.predict_tflite(path, x)
    assert np.max(np.abs(found - wanted)) < 0.03 * np.max(np.abs(wanted))
    # The same in a float file, and the model stays as it was.
    record = kbp.export_tflite(model, tmp_path / "b.tflite", samples=x)
    assert (record.dequantized, record.max_relative_difference < 1e-5) == (
        ("wide",),
        True,
    )
    assert inside.get_layer("wide").quantization_mode == "int8"


def test_an_embedding_of_integers(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(20, 16, name="words")(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    model.quantize("int8")
    words = np.random.default_rng(0).integers(0, 20, (16, 5)).astype("int32")
    path = tmp_path / "a.tflite"
    record = kbp.export_tflite(model, path, samples=words)
    assert set(record.dequantized) == {"words", "head"}
    found, wanted = kbp.export.predict_tflite(path, words), outputs(model, words)[0]
    assert np.max(np.abs(found - wanted)) < 0.03 * np.max(np.abs(wanted))


def test_the_model_from_before_gets_integer_weights(tmp_path):
    keras.utils.set_random_seed(0)
    model, x = network(), np.random.default_rng(0).normal(size=(32, 64))
    wanted = outputs(model, x)[0]
    path = tmp_path / "a.tflite"
    record = kbp.export_tflite(model, path, quantization="dynamic", samples=x)
    assert record.integer_weights > 0.8
    found = kbp.export.predict_tflite(path, x)
    quantized = network()
    quantized.set_weights(model.get_weights())
    quantized.quantize("int8")
    scale = np.max(np.abs(wanted))
    assert np.max(np.abs(found - wanted)) < 0.02 * scale
    assert np.max(np.abs(found - outputs(quantized, x)[0])) < 0.04 * scale
