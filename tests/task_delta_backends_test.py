"""Deltas on JAX and PyTorch, each in a process of its own; and files between backends.

What holds on TensorFlow is in `contract_task_delta_test.py`.
"""

import json

import pytest
from models import identical
from other_backend import run_on
from task_networks import fixed, made_delta, state

import keras_basisprune as kbp


@pytest.fixture(scope="module", params=["jax", "torch"])
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    run_on(request.param, "delta_backend_steps.py", folder / "numbers.json", folder)
    return folder


@pytest.fixture
def numbers(place):
    return json.loads((place / "numbers.json").read_text(encoding="utf-8"))


def test_every_bit_is_kept(numbers):
    assert set(numbers["exact"]) == {"residual", "subclassed", "custom"}
    for kind, found in numbers["exact"].items():
        assert len(found) == 7
        assert all(found), (kind, found)


def test_switching_networks_in_use(numbers):
    assert set(numbers["in use"]) == {"residual", "subclassed"}
    for found in numbers["in use"].values():
        assert len(found) == 7
        assert all(found.values()), found


def test_training(numbers):
    assert set(numbers["trained"]) == {"residual", "subclassed"}
    for found in numbers["trained"].values():
        assert found["untouched"]
        assert 0.19 < found["share"] <= 0.2
        assert found["statistics"] > 0
        assert found["loss"] == pytest.approx(found["logged"], rel=1e-4)


def test_a_file_of_another_backend_is_applied(place, numbers):
    model = fixed()
    delta = kbp.TaskDelta.load(place / f"{numbers['backend']}.npz")
    mine, wanted = made_delta(model)
    assert delta == mine
    assert identical(state(delta.apply(model)), wanted)
