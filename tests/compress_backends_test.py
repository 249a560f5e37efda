"""The search on JAX and PyTorch, each in a process of its own."""

import json

import digits_model
import keras
import numpy as np
import pytest
from other_backend import run_on, skip_without

import keras_basisprune as kbp


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, tmp_path):
    skip_without(backend)
    data = digits_model.load()
    model = digits_model.trained(data, epochs=2)
    model.save(tmp_path / "model.keras")
    folder = tmp_path / "out"
    worker = run_on(backend, "compress_worker.py", tmp_path / "model.keras", folder)
    # There, nothing can be exported: that is said, and the rest is complete.
    assert "can be exported to LiteRT" in worker.stderr
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
    # The networks are the same on this backend.
    scores = [kbp.measure.accuracy(m, data.validation) for m in (model, small)]
    np.testing.assert_allclose(rows["accuracy on validation"], scores, atol=0.004)
    assert told["score"] >= report["least"]
