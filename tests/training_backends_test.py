"""Thresholding masks and trains alike on every backend of Keras."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from lives import BACKENDS, live

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def undisturbed():
    return {name: live(name) for name in BACKENDS}


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, undisturbed, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subprocess.run(
        [sys.executable, str(HERE / "lives.py"), str(tmp_path), "whole"],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(HERE.parent)},
        check=True,
    )
    found = sorted(path.stem for path in tmp_path.iterdir())
    assert found == sorted(set(BACKENDS) - ({"taylor"} if backend == "jax" else set()))
    for name in found:
        wanted = undisturbed[name]
        with np.load(tmp_path / f"{name}.npz") as file:
            assert file["kept"].tolist() == wanted["kept"].tolist()
            assert file["masks"] == wanted["masks"]
            for key in (key for key in wanted if key.startswith("w")):
                np.testing.assert_allclose(file[key], wanted[key], rtol=1e-3, atol=1e-4)
