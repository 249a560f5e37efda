"""MeasuredPath: measurements are remembered, and plans follow from them alone."""

import dataclasses
import math

import numpy as np
import pytest
from plans_sensitivity_test import classifier, images, residual

import keras_basisprune as kbp
from keras_basisprune.methods.compensated_channels import (
    compensated_plan,
    compensated_scores,
)
from keras_basisprune.plans._measured_channels import measured_channels
from keras_basisprune.plans.measured_path import MeasuredPath
from keras_basisprune.plans.measured_split import measured_split
from keras_basisprune.plans.sensitivity.loss_curve import LossCurve
from keras_basisprune.plans.sensitivity.measured_parts import RIDGE, measured_parts
from keras_basisprune.plans.sensitivity.moved_to import moved_to
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
    plans, losses = [], []
    for keep in shares:
        plans.append(path.plan(keep, cost, limits))
        losses.append(path.predicted(plans[-1]))
    assert notes.found == [
        "sensitivity of the whole network",
        f"sensitivity at 0.5 of the {cost}, with {limits}",
    ]
    again = Notes(notes.answers)
    later = path_of(model, data, again)
    for keep, plan, loss in reversed(list(zip(shares, plans, losses, strict=True))):
        assert later.plan(keep, cost, limits) == plan
        assert later.predicted(plan) == loss
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


def test_few_samples_are_judged_by_and_all_others_are_fitted_on():
    model, data = classifier(), images(60)
    parts = split_samples(model, data, 0.6, 20)
    assert [sum(len(arrays[0]) for arrays in part) for part in parts] == [40, 20]
    both = np.concatenate([arrays[0] for part in parts for arrays in part])
    places = [int(np.argmax((data == one).all(axis=(1, 2, 3)))) for one in both]
    assert places == [n for n in range(60) if n % 3 != 2] + list(range(2, 60, 3))
    path = MeasuredPath(model, data, 1.0, shares=(0.5,), most=20)
    assert path.whole() == measured_parts(
        model,
        *parts,
        (0.5,),
        RIDGE,
        False,
        scores=kbp.scores.channels.compensated(model, data, ridge=RIDGE),
    )
    plan = path.plan(0.5)
    assert path.predicted(plan) == path.whole().predicted(plan)
    enough = split_samples(model, data, 0.6, 30)  # no more than without a limit
    assert [len(part[0][0]) for part in enough] == [36, 24]


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


def record(channels=1.0, bases=1.0):
    """Curves of `classifier`: losses double with each quarter of a layer."""
    parts = {"removed": (2, 4, 6), "losses": np.array([0.01, 0.02, 0.04])}

    def curve(layer, total, kind, factor):
        removed = tuple(number * total // 8 for number in parts["removed"])
        order = tuple(range(total - 1, 0, -1))
        errors = tuple(number / total for number in range(1, total))
        losses = tuple(map(float, factor * parts["losses"]))
        return LossCurve(layer, kind, total, order, errors, removed, losses)

    layers = {"first": 8, "second": 12}
    return tuple(
        kbp.Sensitivity(tuple(curve(n, t, kind, factor) for n, t in layers.items()))
        for kind, factor in (("channels", channels), ("bases", bases))
    )


def test_a_cut_is_made_by_what_loses_less():
    model = classifier()
    splits = [measured_split(model, *record(bases=of)) for of in (1e-3, 1.0, 10.0, 1e3)]
    assert splits[0] == 1 / 6
    assert splits[-1] == 5 / 6
    assert splits == sorted(splits)
    channels, bases = record()
    assert measured_split(model, kbp.Sensitivity(()), bases) == 1 / 3
    assert measured_split(model, channels, kbp.Sensitivity(())) == 1 / 3


def test_the_split_has_the_least_sum_of_predicted_losses():
    model, data, notes = classifier(), images(60), Notes()
    path = path_of(model, data, notes)
    split = path.split()
    text = notes.answers["sensitivity of the bases of the whole network"]
    bases = kbp.Sensitivity.from_json(text)
    energies = kbp.scores.bases(model, split_samples(model, data, 0.6, 40)[0][0][0])
    squares = {name: values**2 / sum(values**2) for name, values in energies.items()}
    sums = {}
    for power in (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6):
        wide = kbp.select_channels(model, keep=0.25**power, sensitivity=path.whole())
        low = kbp.select_bases(model, keep=0.25 ** (1 - power), scores=squares)
        sums[power] = path.whole().predicted(wide) + bases.predicted(low) / 6
    assert split == min(sums, key=sums.get)
    again = path_of(model, data, Notes(notes.answers))
    assert again.split() == split


def test_a_layer_that_seems_useless_after_a_cut_is_not():
    before, _ = record()
    first, second = before.curves
    plan = kbp.Plan(channels={"first": kbp.plans.Kept((0, 1, 2, 3, 4, 5), 8)})
    order, errors = (5, 4, 3, 2, 1), (0.1, 0.2, 0.3, 0.4, 0.5)
    useless = LossCurve("first", "channels", 6, order, errors, (2, 4), (0.0, 0.1))
    found = moved_to(before, plan, kbp.Sensitivity((useless,), 0.03))
    curve = found.curves[0]
    assert curve.removed == (2, 4, 6)
    assert curve.losses == pytest.approx((0.01, 0.02, 0.11))
    assert found.curves[1] == second
    assert found.predicted(plan) == pytest.approx(0.03)


def test_evenness_leaves_each_layer_its_share():
    model = classifier()
    free, _ = record()
    nothing = dataclasses.replace(free.curves[1], losses=(1e-9, 1e-9, 1e-9))
    found = kbp.Sensitivity((free.curves[0], nothing))
    given = {"keep": 0.2, "cost": "flops", "limits": kbp.Limits()}

    def widths(evenness):
        plan = measured_channels(model, found, evenness=evenness, **given)
        shares = {"first": 1.0, "second": 1.0}
        return shares | {
            name: len(kept.indices) / kept.total for name, kept in plan.channels.items()
        }

    plain, even = widths(0.0), widths(1e3)
    assert plain["second"] <= 0.34 < plain["first"]
    assert abs(even["first"] - even["second"]) <= 1 / 8
    assert kbp.select_channels(model, sensitivity=found, keep=0.2) == measured_channels(
        model, found, **given
    )
