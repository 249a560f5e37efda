"""The search on JAX and PyTorch, each in a process of its own."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp

HERE = pathlib.Path(__file__).resolve().parent


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"`{backend}` is not installed")
    data = digits_model.load()
    model = digits_model.trained(data, epochs=2)
    model.save(tmp_path / "model.keras")
    paths = os.pathsep.join((str(HERE), str(HERE.parent)))
    worker = subprocess.run(
        [
            sys.executable,
            HERE / "compress_worker.py",
            tmp_path / "model.keras",
            tmp_path / "out",
        ],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": paths,
            "XLA_FLAGS": "--xla_backend_optimization_level=0",  # short runs
        },
        capture_output=True,
        text=True,
    )
    assert worker.returncode == 0, worker.stderr[-3000:]
    # There, nothing can be exported: that is said, and the rest is complete.
    assert "can be exported to LiteRT" in worker.stderr
    told = json.loads(worker.stdout.splitlines()[-1])
    small = keras.models.load_model(tmp_path / "out" / "small.keras")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["versions"]["backend"] == backend
    assert report["met_budget"]
    rows = {x["label"]: (x["before"], x["after"]) for x in report["before_after"]}
    assert rows["FLOPs"] == (kbp.cost(model).flops, kbp.cost(small).flops)
    assert rows["FLOPs"][1] < 0.5 * rows["FLOPs"][0]
    # The networks are the same on this backend.
    scores = [kbp.accuracy(m, data.validation) for m in (model, small)]
    np.testing.assert_allclose(rows["accuracy on validation"], scores, atol=0.004)
    assert told["score"] >= report["least"]
