"""The whole path on JAX and PyTorch, each in a process of its own."""

import json

import pytest
from models import TOLERANCE
from other_backend import run_on

import keras_basisprune as kbp


@pytest.fixture(scope="module", params=["jax", "torch"])
def numbers(request, tmp_path_factory):
    backend = request.param
    path = tmp_path_factory.mktemp(backend) / "numbers.json"
    run_on(backend, "backend_steps.py", path)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["backend"] == backend
    return found


def test_the_layer_equals_numpy(numbers):
    assert len(numbers["layer"]) == 8
    assert max(numbers["layer"].values()) <= 1e-6


def test_converted_pruned_and_folded_models(numbers):
    assert len(numbers["models"]) == 5
    for kind, (differences, unchanged) in numbers["models"].items():
        tolerance = TOLERANCE["bfloat16" if "bfloat16" in kind else "float32"]
        assert max(differences.values()) <= tolerance, (kind, differences)
        assert unchanged, kind


def test_channels(numbers):
    found = numbers["channels"]
    assert found["oracle"] <= 1e-5
    assert found["compensated"] < 0.5 * found["pruned"]
    for fits, total in found["scores"].values():
        assert fits
        assert total > 0


def test_bases_of_data(numbers):
    for differences in numbers["data"].values():
        assert differences["full"] <= 1e-5
        assert differences["folded"] <= 1e-5
    lost = {basis: found["lost"] for basis, found in numbers["data"].items()}
    assert lost["regression"] < 0.9 * lost["activations"]


def test_a_model_that_is_bound_to_its_batch_size(numbers):
    assert set(numbers["fixed batch"]) == {"accuracy", "compensate", "taylor"}
    assert max(numbers["fixed batch"].values()) <= 1e-4


def test_all_methods(numbers):
    assert set(numbers["methods"]) == {*kbp.methods.METHODS, "channel_gain"}
    for name, differences in numbers["methods"].items():
        assert max(differences.values()) <= TOLERANCE["float32"], (name, differences)
        assert differences["original"] == 0.0


def test_saved_and_loaded(numbers):
    assert numbers["saved"] == 0.0


def test_taylor_scores_equal_numpy(numbers):
    assert numbers["taylor"] <= TOLERANCE["float32"]


def test_training_with_both_scores(numbers):
    training = numbers["training"]
    assert training["kept"][0] == 19
    assert 3 <= training["kept"][2] <= training["kept"][1] < 19
    assert all(0.0 < loss < 10.0 for loss in training["losses"])
    assert max(training["pruned"], training["folded"]) <= TOLERANCE["float32"]
    assert training["folded only"]
    # JAX gives the arrays of a model that trains away: none may be shared.
    assert training["original"] == training["converted"] == 0.0
