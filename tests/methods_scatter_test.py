"""Switching between tasks: networks in use, tensors that somebody holds, memory."""

import gc

import keras
import numpy as np
import pytest
from deltas_in_use import in_use
from families import FAMILIES
from models import array, identical
from task_networks import made_delta, state, subclassed

from keras_basisprune.methods.diff_pruning import _scatter
from keras_basisprune.methods.diff_pruning._copied import copied


@pytest.mark.parametrize("make", [FAMILIES["residual"], FAMILIES["nested"], subclassed])
def test_networks_run_and_train_between_switches(make):
    found = in_use(make())
    assert len(found) == 7
    assert all(found.values()), found


def test_tensors_that_were_read_before_stay():
    model = FAMILIES["residual"]()
    (first, one), (second, _) = (made_delta(model, seed=seed) for seed in (0, 1))
    x = keras.ops.ones((1, 6, 6, 3))
    before = state(model)
    read = [v.value.read_value() for v in model.variables]
    said = model(x)
    kept = array(said)
    first.apply_in_place(model)
    inside = [v.value.read_value() for v in model.variables]
    first.remove(model)
    for delta in (second, first):
        delta.apply_in_place(model)
        delta.remove(model)
    assert identical([array(t) for t in read], before)
    assert identical([array(t) for t in inside], one)
    assert identical([array(said)], [kept])


def test_assigned_and_added_numbers_do_not_reach_what_is_written_again():
    model = FAMILIES["residual"]()
    before, (delta, wanted) = state(model), made_delta(model)
    for _ in range(2):
        delta.apply_in_place(model, check=False)
        assert identical(state(model), wanted)
        for variable in model.weights:
            variable.assign_add(keras.ops.ones(variable.shape))
        delta.remove(model)
        for variable, value in zip(model.weights, before, strict=True):
            variable.assign(value)  # those that the delta doesn't change


def test_the_head_that_was_there_comes_back():
    model = FAMILIES["residual"]()
    delta, wanted = made_delta(model)
    for number in range(3):
        kernel = model.layers[-1].kernel
        kernel.assign(np.full(kernel.shape, number, "float32"))
        before = state(model)
        delta.apply_in_place(model, check=False)
        assert identical(state(model), wanted)
        delta.remove(model)
        assert identical(state(model), before)


@pytest.mark.parametrize("most", [0, 5000])
def test_what_makes_room_is_put_together_again(most, monkeypatch):
    monkeypatch.setattr(_scatter, "_MOST", most)
    model = FAMILIES["residual"]()
    before, deltas = state(model), [made_delta(model, seed=seed) for seed in range(4)]
    for delta, wanted in deltas * 2:
        delta.apply_in_place(model, check=False)
        assert identical(state(model), wanted)
        assert sum(size for size, _ in _scatter._READY.values()) <= most
        delta.remove(model)
        assert identical(state(model), before)


def test_nothing_is_kept_of_models_that_are_gone():
    gc.collect()
    known = len(_scatter._READY)
    model = FAMILIES["sequential"]()
    again = copied(model)
    delta, wanted = made_delta(model)
    delta.apply_in_place(model)
    assert len(_scatter._READY) == known + 1
    del model
    gc.collect()
    assert len(_scatter._READY) == known
    delta.apply_in_place(again)
    assert identical(state(again), wanted)
