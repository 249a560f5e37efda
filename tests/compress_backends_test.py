"""The search on JAX and PyTorch, each in a process of its own."""

import json

import digits_model
import keras
import numpy as np
import pytest
from by_interpreter import classes, outputs
from other_backend import run_on, skip_without

import keras_basisprune as kbp


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, tmp_path):
    skip_without(backend)
    data = digits_model.load()
    model = digits_model.trained(data, epochs=2)
    model.save(tmp_path / "model.keras")
    folder = tmp_path / "out"
    words = tmp_path / "model.keras", folder, "int8"
    worker = run_on(backend, "compress_worker.py", *words)
    told = json.loads(worker.stdout.splitlines()[-1])
    small = keras.models.load_model(tmp_path / "out" / "small.keras")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["versions"]["backend"] == backend
    assert report["met_budget"]
    rows = {x["label"]: (x["before"], x["after"]) for x in report["before_after"]}
    assert rows["FLOPs"] == (
        kbp.measure.cost(model).flops,
        kbp.measure.cost(small).flops,
    )
    assert rows["FLOPs"][1] < 0.5 * rows["FLOPs"][0]
    # The network is the same on this backend.
    score = kbp.measure.accuracy(small, data.validation)
    assert told["score"] == pytest.approx(score, abs=0.004)
    assert told["score"] >= report["least"]
    # It was judged by the file, which TensorFlow wrote in a process of its own.
    images, labels = data.validation
    right = {
        name: np.mean(classes(folder / f"{name}.tflite", images) == labels)
        for name in ("original_int8", "small_int8", "small_float32")
    }
    was, now = rows["accuracy on validation"]
    assert was == pytest.approx(kbp.measure.accuracy(model, data.validation), abs=0.004)
    assert now == pytest.approx(right["small_int8"])
    scores = {(x["model"], x["form"]): x["score"] for x in report["forms"]}
    for name in ("original", "small"):
        assert scores[name, "int8"] == pytest.approx(right[f"{name}_int8"])
    assert right["small_int8"] >= report["least"]
    np.testing.assert_allclose(
        outputs(folder / "small_float32.tflite", images[:50]),
        small.predict(images[:50], verbose=0),
        atol=1e-4,
    )
    files = [folder / f"{name}_int8.tflite" for name in ("original", "small")]
    assert rows["LiteRT int8 bytes"] == tuple(f.stat().st_size for f in files)
