"""Searches that end at a time limit or by an interrupt, and go on afterwards."""

import dataclasses
import math

import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS
from keras_basisprune.search import deadline as module
from keras_basisprune.search.deadline import Deadline
from keras_basisprune.utils.check_duration import check_duration

SMALL = kbp.SearchOptions(samples=150, rounds=2)


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits, epochs=3)


class Clock:
    """A clock that stands still unless told; each look at it may take time."""

    def __init__(self):
        self.now, self.each = 0.0, 0.0

    def __call__(self):
        self.now += self.each
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module.time, "monotonic", made)
    return made


def run(model, digits, **changes):
    given = {"max_drop": 0.05, "methods": ["channels"], "config": SMALL, "verbose": 0}
    return kbp.compress(model, digits.train, digits.validation, **given | changes)


def stopping(method, number, stop):
    """The same method, which calls `stop` at the end of its cut of this number."""
    calls = []

    def carry_out(prepared, plan, *, data):
        calls.append(plan)
        network = method.carry_out(prepared, plan, data=data)
        if len(calls) == number:
            stop()
        return network

    changes = {"name": "stopping", "alias": "", "carry_out": carry_out}
    return dataclasses.replace(method, compensates=False, **changes), calls


def interrupt():
    raise KeyboardInterrupt


def same_weights(one, other):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(90, 90.0), (0.5, 0.5), ("90s", 90.0), ("90", 90.0), ("30m", 1800.0)]
    + [("1h30m", 5400.0), (" 2h ", 7200.0), ("1h1m1s", 3661.0), ("1.5m", 90.0)],
)
def test_spans_of_time(value, seconds):
    assert check_duration("time_limit", value) == seconds


@pytest.mark.parametrize(
    "value", [0, -1, math.nan, math.inf, "", "0m", "soon", "5 days", "m", True, [1]]
)
def test_other_spans_are_refused(model, digits, value):
    with pytest.raises(ValueError, match="`time_limit` to be seconds above 0, or a"):
        run(model, digits, time_limit=value)


def test_a_cut_is_allowed_if_it_ends_in_time_by_what_others_took(clock):
    limit = Deadline(100)
    assert limit.allows("a", reserve=1000)  # the first one in any case
    limit.learn("a", 30.0)
    assert limit.allows("a", reserve=70)
    assert limit.allows("b", reserve=70)  # not known: as the dearest one
    assert not limit.reached
    assert not limit.allows("a", reserve=71)
    assert limit.reached
    limit.learn("b", 5.0)
    clock.now = 71.0
    assert not limit.allows("a")
    assert limit.allows("b")
    assert not limit.allows("c")
    assert Deadline().allows("a", reserve=math.inf)


def test_epochs_that_fit(clock):
    limit = Deadline(100)
    assert limit.epochs(5, math.nan) == 5
    assert limit.epochs(5, 100.0) == 5
    assert not limit.reached
    assert limit.epochs(5, 250.0) == 2
    assert limit.epochs(5, 1e6) == 1
    clock.now = 100.0
    assert limit.epochs(5, 1.0) == 0
    assert Deadline().epochs(5, 1e9) == 5
    assert Deadline().stop_training() == []


def test_training_ends_with_the_time(clock, model, digits):
    network = keras.models.clone_model(model)
    network.compile("sgd", "sparse_categorical_crossentropy")
    clock.each, batches = 1.0, []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: batches.append(batch)
    )
    limit = Deadline(5.5)
    network.fit(
        *digits.train, verbose=0, epochs=9, callbacks=[count, *limit.stop_training()]
    )
    assert len(batches) == 6
    assert limit.reached


def test_the_best_network_until_the_end_is_returned_and_it_goes_on(
    clock, model, digits, tmp_path
):
    whole = run(model, digits)
    clock.each = 1000.0  # one look before each cut but the first
    with pytest.warns(UserWarning, match="ended at its time limit after 4 networks"):
        some = run(model, digits, time_limit=3500, output_dir=tmp_path)
    assert [t.kept for t in some.trials] == [t.kept for t in whole.trials[:4]]
    good = [trial.kept for trial in some.trials if trial.good_enough]
    assert some.met_budget
    assert some.report.flops_ratio == min(good)
    assert some.details["stopped"] == "time"
    small = keras.models.load_model(tmp_path / "small.keras")
    same_weights(small, some.model)
    assert kbp.measure.accuracy(small, digits.validation) == next(
        t.score for t in some.trials if t.kept == min(good)
    )
    rest = run(model, digits, output_dir=tmp_path)  # without a limit
    assert repr([t.score for t in rest.trials]) == repr([t.score for t in whole.trials])
    assert rest.details["stopped"] == ""
    same_weights(rest.model, whole.model)


def test_without_a_good_network_it_says_so(clock, model, digits):
    clock.each = 1000.0
    with pytest.warns(UserWarning, match="none was good enough so far, and the orig"):
        result = run(model, digits, time_limit=1000, max_drop=0.0, config=SMALL)
    assert not result.met_budget
    assert result.report.params_ratio > 0.98  # BatchNormalization is folded
    assert result.plans == ()
    assert len(result.trials) == 1


def test_a_shortened_training_is_done_again_with_more_time(
    clock, model, digits, tmp_path
):
    search = {"recover": "all", "epochs": 2, "output_dir": tmp_path}
    begun = []

    class Late(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            begun.append(self.params["epochs"])

        def on_epoch_end(self, epoch, logs=None):
            clock.now += 60.0

    given = {"callbacks": [Late()], **search}
    with pytest.warns(UserWarning, match="ended at its time limit"):
        some = run(model, digits, time_limit=50, **given)
    assert len(begun) == 1
    assert len(some.history["loss"]) == 1  # the second epoch was not begun
    assert some.trials[-1].trained
    state = tmp_path / "state"
    assert not list(state.glob("round_1*.keras"))
    again = run(model, digits, **search)
    whole = run(model, digits, **{**search, "output_dir": None})
    assert len(again.history["loss"]) == len(whole.history["loss"])
    assert again.history["loss"] == whole.history["loss"]
    same_weights(again.model, whole.model)


def test_an_interrupt_returns_the_best_so_far(model, digits, tmp_path):
    method, calls = stopping(METHODS["compensated_channels"], 4, interrupt)
    with pytest.warns(UserWarning, match="was interrupted after 3 networks.*goes on"):
        some = run(model, digits, methods=[method], output_dir=tmp_path)
    good = [trial.kept for trial in some.trials if trial.good_enough]
    assert some.report.flops_ratio == min(good)
    assert some.details["stopped"] == "interrupt"
    same_weights(keras.models.load_model(tmp_path / "small.keras"), some.model)
    assert not (tmp_path / "small_float32.tflite").exists()
    rest = run(model, digits, methods=[method], output_dir=tmp_path)
    assert len(rest.trials) > 3
    assert (tmp_path / "small_float32.tflite").exists()
    assert rest.report.flops_ratio <= some.report.flops_ratio


def test_an_interrupt_before_any_good_network_is_passed_on(model, digits):
    method, calls = stopping(METHODS["compensated_channels"], 1, interrupt)
    with pytest.raises(KeyboardInterrupt) as stop:
        run(model, digits, methods=[method])
    assert "No state was kept" in stop.value.__notes__[0]
