"""Killed, started again, with other arguments, twice with one seed."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import compress_worker
import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.training.augmentation import augmentation

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits)


@pytest.fixture(scope="module")
def done(model, digits, tmp_path_factory):
    """An undisturbed search, its folder, and the seconds it took."""
    folder = tmp_path_factory.mktemp("done") / "out"
    start = time.perf_counter()
    result = run(model, digits, folder)
    return result, folder, time.perf_counter() - start


def run(model, digits, folder, **changes):
    arguments = {**compress_worker.ARGUMENTS, **changes}
    return kbp.compress(
        model, digits.train, digits.validation, output_dir=folder, **arguments
    )


def started(model_path, folder):
    """A worker that has begun its search."""
    paths = os.pathsep.join((str(HERE), str(HERE.parent)))
    worker = subprocess.Popen(
        [sys.executable, HERE / "compress_worker.py", model_path, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert worker.stdout.readline() == "begins\n"
    return worker


def count(path):
    """How many answers a state holds."""
    return len(json.loads(path.read_text())["answers"]) if path.exists() else 0


def same_network(one, other):
    assert [x.name for x in one.layers] == [x.name for x in other.layers]
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_killed_at_random_moments_it_comes_to_the_same(model, done, tmp_path):
    undisturbed, _, seconds = done
    model.save(tmp_path / "model.keras")
    folder, rng = tmp_path / "out", np.random.default_rng(0)
    known = []
    for _ in range(5):
        worker = started(tmp_path / "model.keras", folder)
        time.sleep(rng.uniform(0, seconds / 3))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        known.append(count(folder / "state" / "state.json"))
    assert known == sorted(known)  # nothing that was known was lost
    assert known[-1] > 0
    worker = started(tmp_path / "model.keras", folder)
    last = json.loads(worker.communicate()[0])
    assert worker.returncode == 0
    plans = [json.loads(plan.to_json()) for plan in undisturbed.plans]
    assert last["plans"] == plans
    report = undisturbed.report.extra["accuracy on validation"]
    assert last["score"] == report[1]
    same_network(keras.models.load_model(folder / "small.keras"), undisturbed.model)
    assert {path.name for path in folder.iterdir()} == {
        "original_float32.tflite",
        "plans.json",
        "report.html",
        "report.json",
        "small.keras",
        "small_float32.tflite",
        "state",
    }  # and nothing that a kill has left half-written


def test_the_same_call_again_trains_nothing_anew(model, digits, done):
    undisturbed, folder, seconds = done
    state = (folder / "state" / "state.json").read_bytes()
    start = time.perf_counter()
    again = run(model, digits, folder)
    assert time.perf_counter() - start < seconds
    assert repr(again.trials) == repr(undisturbed.trials)  # with NaN in them
    assert again.history == undisturbed.history
    same_network(again.model, undisturbed.model)
    assert (folder / "state" / "state.json").read_bytes() == state


def test_the_same_seed_gives_the_same_network_without_a_folder(model, digits, done):
    undisturbed = done[0]
    keras.utils.set_random_seed(99)  # what was random before doesn't matter
    again = run(model, digits, None)
    ours, theirs = (
        [repr(dataclasses.replace(trial, seconds={})) for trial in result.trials]
        for result in (again, undisturbed)
    )
    assert ours == theirs
    assert again.plans == undisturbed.plans
    assert again.history == undisturbed.history
    same_network(again.model, undisturbed.model)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"max_drop": 0.02}, r"had another max_drop \(0.03\)"),
        ({"epochs": 3}, r"had another epochs \(2\), recovery"),
        ({"methods": ["basis"]}, "had another methods"),
        ({"seed": 1}, r"had another .*seed \(0\)"),
    ],
)
def test_the_state_of_other_arguments_is_refused(model, digits, done, changes, text):
    folder = done[1]
    state = (folder / "state" / "state.json").read_bytes()
    with pytest.raises(ValueError, match=f"`output_dir` to be empty.*{text}"):
        run(model, digits, folder, **changes)
    assert (folder / "state" / "state.json").read_bytes() == state


def test_the_state_of_another_model_or_other_data_is_refused(model, digits, done):
    other = keras.models.clone_model(model)
    weights = model.get_weights()
    weights[0] = weights[0] * 1.001
    other.set_weights(weights)
    with pytest.raises(ValueError, match=r"had another model \("):
        run(other, digits, done[1])
    fewer = dataclasses.replace(digits, train=tuple(x[1:] for x in digits.train))
    with pytest.raises(ValueError, match=r"had another train \("):
        run(model, fewer, done[1])


def test_an_augmenting_layer_is_the_same_before_and_after_its_first_call(
    model, digits, tmp_path
):
    layer = augmentation(shift=0.1)
    changes = {
        "methods": ["channels"],
        "recover": kbp.Recovery(epochs=1, augment=layer),
        "config": kbp.SearchOptions(samples=100, rounds=1),
    }
    first = run(model, digits, tmp_path, **changes)
    assert layer.layers[0].built
    again = run(model, digits, tmp_path, **changes)
    assert repr(again.trials) == repr(first.trials)
    changes["recover"] = kbp.Recovery(epochs=1, augment=augmentation(shift=0.2))
    with pytest.raises(ValueError, match=r"had another recovery \("):
        run(model, digits, tmp_path, **changes)


def test_what_was_measured_is_not_measured_again(model, digits, tmp_path, monkeypatch):
    left = [2]  # cuts until the search is interrupted

    def carry_out(prepared, plan, *, data):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return kbp.compensate(prepared, plan, data, verbose=0)

    channels = kbp.methods.METHODS["compensated_channels"]
    mine = dataclasses.replace(
        channels, name="mine", alias="", carry_out=carry_out, compensates=False
    )
    config = kbp.SearchOptions(samples=100)
    changes = {"methods": [mine], "recover": None, "epochs": None, "config": config}
    with pytest.raises(KeyboardInterrupt):
        run(model, digits, tmp_path, **changes)
    state = json.loads((tmp_path / "state" / "state.json").read_text())["answers"]
    measured = [question for question in state if "sensitivity" in question]
    assert measured[0].startswith("round 1: sensitivity of the whole network, by ")
    kbp.Sensitivity.from_json(state[measured[0]])
    assert sum("keep" in question for question in state) == 1

    found = []
    module = sys.modules["keras_basisprune.plans.measured_path"]
    measure = module.measured_parts

    def counted(network, *args, **given):
        found.append(network.count_params())
        return measure(network, *args, **given)

    with monkeypatch.context() as patch:
        patch.setattr(module, "measured_parts", counted)
        again = run(model, digits, tmp_path, **changes)
    assert model.count_params() not in found  # of the whole network, that is
    undisturbed = run(model, digits, None, **changes)
    assert again.plans == undisturbed.plans
    same_network(again.model, undisturbed.model)
    ours, theirs = (
        [repr(dataclasses.replace(trial, seconds={})) for trial in result.trials]
        for result in (again, undisturbed)
    )
    assert ours == theirs
    rows = again.details["trials"]
    assert [row["predicted"] for row in rows] == [t.predicted for t in again.trials]
    assert min(trial.predicted for trial in again.trials) > 0
    least, *_, most = sorted(again.trials, key=lambda trial: -trial.kept)
    assert least.predicted < most.predicted
