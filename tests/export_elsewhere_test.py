"""Exports of models on JAX and PyTorch: files that compute what the models computed."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from by_interpreter import outputs
from other_backend import run_on

from keras_basisprune.export import _elsewhere, predict_tflite, read_labels


@pytest.fixture(scope="module", params=["jax", "torch"])
def folder(request, tmp_path_factory):
    """What `export_steps.py` has written on a backend."""
    found = tmp_path_factory.mktemp(request.param)
    run_on(request.param, "export_steps.py", found)
    told = json.loads((found / "told.json").read_text())
    assert told["backend"] == request.param
    return found


def images():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (20, 8, 8, 3)).astype("float32")


def test_files_compute_what_the_model_computed(folder):
    told = json.loads((folder / "told.json").read_text())
    own = np.load(folder / "outputs.npz")["own"]
    for form, tolerance in (("float32", 1e-5), ("float16", 1e-2), ("int8", 0.2)):
        found = outputs(folder / f"{form}.tflite", images())
        np.testing.assert_allclose(found, own, atol=tolerance)
        largest = np.abs(found - own).max()
        assert told["differences"][form] == pytest.approx(largest, abs=1e-5)
    assert np.ptp(own, axis=0).max() > 0.05  # the model tells images apart
    np.testing.assert_array_equal(
        outputs(folder / "labels.tflite", images()),
        outputs(folder / "float32.tflite", images()),
    )
    assert read_labels(folder / "labels.tflite") == ("a", "b", "c", "d")


def test_saved_models_compute_what_the_model_computed(folder):
    own = np.load(folder / "outputs.npz")["own"]
    loaded = tf.saved_model.load(str(folder / "saved"))
    found = loaded.serve(images())
    np.testing.assert_allclose(found, own, atol=1e-5)


def test_inputs_and_outputs_keep_their_names(folder):
    held = np.load(folder / "outputs.npz")
    given = {name: held[name] for name in ("one", "other")}
    folder_of_two = tf.saved_model.load(str(folder / "two"))
    loaded = folder_of_two.serve(given)
    found = predict_tflite(folder / "two.tflite", given, verbose=0)
    for name in ("sum", "kind"):
        np.testing.assert_allclose(found[name], held[name], atol=1e-5)
        np.testing.assert_allclose(loaded[name], held[name], atol=1e-5)


def test_one_process_exports_and_leaves_nothing_behind(folder):
    told = json.loads((folder / "told.json").read_text())
    assert told["workers"] == 1
    assert told["differences"]["again"]  # by another one, after that was killed
    np.testing.assert_allclose(
        outputs(folder / "again.tflite", images()),
        np.load(folder / "outputs.npz")["own"],
        atol=1e-5,
    )
    assert told["left"] == []


def test_errors_are_those_of_the_export(folder):
    errors = json.loads((folder / "told.json").read_text())["errors"]
    assert errors["fft"][0] == errors["main"][0] == "ValueError"
    assert "it needs " in errors["fft"][1] and "FFT" in errors["fft"][1]
    assert "defined in the script or notebook itself" in errors["main"][1]
    assert "overwrite=True replaces it" in errors["full"][1]
    assert not (folder / "bad.tflite").exists()


def test_without_tensorflow(monkeypatch):
    monkeypatch.setattr(_elsewhere.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="Exports need TensorFlow.*pip install tens"):
        _elsewhere._Worker()


def test_modules_are_those_of_layers_and_functions():
    import foreign_layers

    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, activation=foreign_layers.bent)(inputs)
    assert _elsewhere._modules(keras.Model(inputs, x)) == ["foreign_layers"]
    plain = keras.layers.Dense(3, "relu")(inputs)
    assert _elsewhere._modules(keras.Model(inputs, plain)) == []
