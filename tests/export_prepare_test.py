"""Models that `keras.Model.quantize` has changed are refused; no file is written."""

import keras
import numpy as np
import pytest
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


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantized_layers_are_named(mode, nested, tmp_path):
    model = network(nested)
    for layer in model.layers[1].layers if nested else model.layers:
        if layer.name == "wide":
            layer.quantize(mode)
    told = rf"\['wide'\], quantized to \['{mode}'\]. Export the model from before"
    for quantization in (None, "dynamic"):
        with pytest.raises(ValueError, match=told):
            kbp.export_tflite(model, tmp_path / "a.tflite", quantization=quantization)
    with pytest.raises(ValueError, match=told):
        kbp.export_saved_model(model, tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


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
