"""MeasuredPath: measurements are remembered, and plans follow from them alone."""

import math

import numpy as np
import pytest
from plans_sensitivity_test import classifier, images, residual

import keras_basisprune as kbp
from keras_basisprune.methods.compensated_channels import (
    compensated_plan,
    compensated_scores,
)
from keras_basisprune.plans.measured_path import MeasuredPath
from keras_basisprune.plans.sensitivity.split_samples import split_samples

GIVEN = {"shares": (0.8, 0.5, 0.25), "most": 40}


class Notes:
    """Remembers answers, and counts what had to be found."""

    def __init__(self, answers=()):
        self.answers, self.found = dict(answers), []

    def recall(self, question, find):
        if question not in self.answers:
            self.answers[question] = find()
            self.found.append(question)
        return self.answers[question]


def path_of(model, data, notes):
    path = MeasuredPath(model, data, 0.5, **GIVEN)
    path.keep_in(notes.recall)
    return path


@pytest.mark.parametrize("cost", ["flops", "params"])
@pytest.mark.parametrize("network", [classifier, residual])
def test_each_measurement_is_remembered_and_gives_the_same_plans(network, cost):
    model, data, notes = network(), images(60), Notes()
    limits = kbp.Limits(round_to=2)
    path = path_of(model, data, notes)
    shares = (0.6, 0.35, 0.45, 0.7)
    plans = [path.plan(keep, cost, limits) for keep in shares]
    assert notes.found == [
        "sensitivity of the whole network",
        f"sensitivity at 0.5 of the {cost}, with {limits}",
    ]
    again = Notes(notes.answers)
    later = path_of(model, data, again)
    for keep, plan in reversed(list(zip(shares, plans, strict=True))):
        assert later.plan(keep, cost, limits) == plan
        assert later.predicted(plan) == path.predicted(plan)
    assert again.found == []
    alone = MeasuredPath(model, data, 0.5, **GIVEN)
    assert [alone.plan(keep, cost, limits) for keep in shares] == plans


def test_other_limits_are_measured_again_on_the_way():
    model, data, notes = classifier(), images(60), Notes()
    path = path_of(model, data, notes)
    free = path.plan(0.3)
    excluded = path.plan(0.4, limits=kbp.Limits(exclude="first"))
    assert "first" in free.channels
    assert list(excluded.channels) == ["second"]
    assert len(notes.found) == 3
    assert len(set(notes.found)) == 3


def test_the_prediction_is_that_of_the_record():
    model, data, notes = classifier(), images(60), Notes()
    path = path_of(model, data, notes)
    plan = path.plan(0.6)
    text = notes.answers["sensitivity of the whole network"]
    found = kbp.Sensitivity.from_json(text)
    assert found == path.whole()
    assert path.predicted(plan) == found.predicted(plan) > 0
    assert plan == kbp.select_channels(model, keep=0.6, sensitivity=found)
    with_bases = kbp.Plan(
        bases={"second": kbp.plans.Kept((0, 1), 12)}, channels=plan.channels
    )
    assert path.predicted(with_bases) == path.predicted(plan)
    assert math.isnan(path.predicted(kbp.Plan()))


def test_what_is_measured_is_that_of_the_samples_that_were_drawn():
    model, data = classifier(), images(60)
    path = MeasuredPath(model, data, 1.0, **GIVEN)
    drawn = split_samples(model, data, 0.6, 40)
    assert [sum(len(arrays[0]) for arrays in part) for part in drawn] == [24, 16]
    both = np.concatenate([arrays[0] for part in drawn for arrays in part])
    places = [int(np.argmax((data == one).all(axis=(1, 2, 3)))) for one in both]
    assert len(set(places)) == 40
    # Two of three are drawn; of these, three of five are fitted on, from first to last.
    assert sorted(places) == [n for n in range(60) if n % 3 != 2]
    assert places[:6] == [0, 1, 4, 7, 9, 12]
    plan = path.plan(0.5)
    assert path.predicted(plan) == path.whole().predicted(plan)
    whole = MeasuredPath(model, data[sorted(places)], 1.0, shares=GIVEN["shares"])
    assert whole.plan(0.5) == plan


@pytest.mark.parametrize("sizes", [(7, 7, 7, 7, 7, 5), (40,), (1,) * 40])
def test_samples_of_small_batches_are_joined(sizes):
    model, data = classifier(), images(40)
    batches = np.split(data, np.cumsum(sizes)[:-1])
    for most in (None, 20):
        expected = split_samples(model, data, 0.6, most)
        found = split_samples(model, iter(batches), 0.6, most)
        for mine, other in zip(found, expected, strict=True):
            assert len(mine) == 1
            np.testing.assert_array_equal(mine[0][0], other[0][0])


def test_too_few_samples_leave_the_same_share_everywhere():
    model, data = classifier(), images(31)
    scores = compensated_scores(model, data=data)
    np.testing.assert_array_equal(
        scores, kbp.scores.channels.compensated(model, iter([data]))
    )
    plan = compensated_plan(model, keep=0.5, data=data)
    assert plan == kbp.select_channels(model, keep=0.5, scores=scores)
    measured = compensated_scores(model, data=images(32))
    assert isinstance(measured, MeasuredPath)
    assert compensated_plan(model, keep=0.5, data=images(32)) == measured.plan(0.5)
