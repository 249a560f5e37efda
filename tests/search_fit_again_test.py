"""Networks are tried with few samples, and the best one is fitted again with all."""

import dataclasses
import json

import digits_model
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS
from keras_basisprune.search.cutter import CutOptions, Cutter
from keras_basisprune.search.drawn_samples import drawn_samples

FEW, ALL = 60, 240
CONFIG = kbp.SearchOptions(samples=ALL, trial_samples=FEW, rounds=1)


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits, epochs=3)


def run(model, digits, **changes):
    given = {"max_drop": 0.05, "methods": ["channels"], "config": CONFIG, "verbose": 0}
    return kbp.compress(model, digits.train, digits.validation, **given | changes)


def own(name, carry_out):
    """A row that carries out plans of channels in another way."""
    row = METHODS["compensated_channels"]
    changes = {"name": name, "alias": "", "carry_out": carry_out}
    return dataclasses.replace(row, compensates=False, **changes)


def told(trials):
    return [repr(dataclasses.replace(trial, seconds={})) for trial in trials]


def same_outputs(one, other, digits, atol=1e-5):
    images = digits.validation[0][:50]
    found = [network.predict(images, verbose=0) for network in (one, other)]
    np.testing.assert_allclose(*found, atol=atol)


@pytest.mark.parametrize("seed", [0, 3])
def test_samples_are_drawn_in_order_and_the_same_ones_each_time(seed):
    whole = np.arange(100)
    found = drawn_samples(whole, 30, seed)
    assert len(found) == len(set(found)) == 30
    np.testing.assert_array_equal(found, np.sort(found))
    np.testing.assert_array_equal(found, drawn_samples(whole, 30, seed))
    assert drawn_samples(whole, 100, seed) is whole
    assert drawn_samples(whole, None, seed) is whole
    several = drawn_samples([whole, 2 * whole], 30, seed)
    np.testing.assert_array_equal(several[0], found)
    np.testing.assert_array_equal(several[1], 2 * found)
    assert found.max() > 80  # not the first ones
    assert found.min() < 20


@pytest.mark.parametrize("name", ["channels", "basis", "double_pruning"])
def test_a_plan_is_carried_out_again_with_all_samples(model, digits, name):
    images = digits.train[0][:ALL]
    row = next(row for row in METHODS.values() if name in (row.name, row.alias))
    cutter = Cutter(model, images, CutOptions(samples=FEW))
    assert [cutter.samples(row, again) for again in (False, True)] == [FEW, ALL]
    cut = cutter.cut(0.4, row)
    again = cutter.fit_again(0.4, row, cut.plan)
    same_outputs(again, row.carry_out(model, cut.plan, data=images), digits)
    few = drawn_samples(images, FEW, 0)
    same_outputs(cut.network, row.carry_out(model, cut.plan, data=few), digits)
    apart = [n.predict(images[:50], verbose=0) for n in (again, cut.network)]
    assert np.abs(apart[0] - apart[1]).max() > 1e-3


def test_methods_that_only_cut_are_tried_with_all_samples(model, digits):
    row = METHODS["basis_activations"]
    assert not row.fits
    cutter = Cutter(model, digits.train[0][:ALL], CutOptions(samples=FEW))
    assert cutter.samples(row) == ALL
    assert cutter.samples(METHODS["basis_regression"]) == FEW


@pytest.fixture(scope="module")
def found(model, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found")
    return run(model, digits, output_dir=folder, methods=["channels", "basis"]), folder


def test_what_is_returned_was_judged_as_it_is(model, digits, found):
    result, _ = found
    chosen = result.trials[result.details["chosen"]]
    assert chosen.good_enough
    score = kbp.measure.accuracy(result.model, digits.validation)
    assert chosen.score == pytest.approx(score, abs=1e-9)
    samples = [trial.samples for trial in result.trials]
    assert samples.count(ALL) in (1, 2)
    assert set(samples[: -samples.count(ALL)]) == {FEW}
    first = min(
        (t for t in result.trials if t.samples == FEW and t.good_enough),
        key=lambda trial: trial.kept,
    )
    assert chosen.kept <= first.kept
    if chosen.kept == first.kept:
        assert chosen.score >= first.score
    small = kbp.measure.cost(result.model).flops / kbp.measure.cost(model).flops
    assert chosen.kept == pytest.approx(small)


def test_it_goes_on_where_it_was_interrupted(model, digits, found, tmp_path):
    """At any answer, also between the last cut and its second fit."""
    result, folder = found
    again = run(model, digits, output_dir=folder, methods=["channels", "basis"])
    assert told(again.trials) == told(result.trials)
    same_outputs(again.model, result.model, digits, atol=0)


@pytest.mark.parametrize("count", [None, FEW, FEW + 1])
def test_with_enough_samples_for_all_nothing_is_fitted_again(model, digits, count):
    cutter = Cutter(model, digits.train[0][:FEW], CutOptions(samples=count))
    for name in ("compensated_channels", "basis_regression", "double_pruning"):
        row = METHODS[name]
        assert cutter.samples(row) == cutter.samples(row, again=True) == FEW


def test_a_second_fit_that_is_worse_is_not_taken(model, digits):
    def carry_out(prepared, plan, *, data):
        if len(data) == ALL:
            return kbp.prune(prepared, plan)
        return kbp.compensate(prepared, plan, data, verbose=0)

    result = run(model, digits, methods=[own("worse", carry_out)])
    chosen, last = result.trials[result.details["chosen"]], result.trials[-1]
    assert (chosen.samples, last.samples) == (FEW, ALL)
    assert chosen.kept == last.kept
    assert chosen.score > last.score
    score = kbp.measure.accuracy(result.model, digits.validation)
    assert score == pytest.approx(chosen.score, abs=1e-9)


def test_a_smaller_network_that_becomes_good_enough_is_taken(model, digits):
    def carry_out(prepared, plan, *, data):
        if len(data) == FEW:
            return kbp.prune(prepared, plan)
        return kbp.compensate(prepared, plan, data, verbose=0)

    result = run(model, digits, methods=[own("better", carry_out)])
    chosen = result.trials[result.details["chosen"]]
    few = [trial for trial in result.trials if trial.samples == FEW]
    best = min(trial.kept for trial in few if trial.good_enough)
    assert chosen.samples == ALL
    assert chosen.kept < best
    assert [trial.samples for trial in result.trials][-2:] == [ALL, ALL]
    before = next(trial for trial in few if trial.kept == chosen.kept)
    assert not before.good_enough
    score = kbp.measure.accuracy(result.model, digits.validation)
    assert score == pytest.approx(chosen.score, abs=1e-9)


def test_an_interrupt_of_the_second_fit_keeps_the_first(model, digits, tmp_path):
    def carry_out(prepared, plan, *, data):
        if len(data) == ALL and stop:
            raise KeyboardInterrupt
        return kbp.compensate(prepared, plan, data, verbose=0)

    stop, given = [True], {"methods": [own("mine", carry_out)], "output_dir": tmp_path}
    with pytest.warns(UserWarning, match="The search was interrupted after"):
        first = run(model, digits, **given)
    assert {trial.samples for trial in first.trials} == {FEW}
    best = min(trial.kept for trial in first.trials if trial.good_enough)
    assert first.trials[first.details["chosen"]].kept == best
    stop.clear()
    again = run(model, digits, **given)
    assert again.trials[-1].samples == ALL
    assert told(again.trials)[: len(first.trials)] == told(first.trials)
    chosen = again.trials[again.details["chosen"]]
    score = kbp.measure.accuracy(again.model, digits.validation)
    assert score == pytest.approx(chosen.score, abs=1e-9)


def test_what_is_trained_was_fitted_with_all_samples(model, digits, tmp_path):
    given = {"recover": "all", "epochs": 1, "output_dir": tmp_path}
    result = run(model, digits, **given)
    trained = [trial for trial in result.trials if trial.trained]
    assert trained
    assert {trial.samples for trial in trained} == {0}
    state = json.loads((tmp_path / "state" / "state.json").read_text())["answers"]
    assert any("on all samples" in question for question in state)
    networks = [name for name in state if name.endswith("_refitted.keras")]
    assert networks


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", True])
def test_other_numbers_of_samples_are_refused(value):
    with pytest.raises(ValueError, match="Expected `trial_samples` to be"):
        kbp.SearchOptions(trial_samples=value)
