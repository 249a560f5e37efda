"""Cuts of a small network of digits to given shares."""

import dataclasses
import math
import sys

import digits_model
import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.methods import METHODS
from keras_basisprune.search.cutter import CutOptions, Cutter
from keras_basisprune.search.fingerprint import fingerprint
from keras_basisprune.utils.cannot_reach import CannotReach

CHANNELS, BASES = METHODS["compensated_channels"], METHODS["basis_regression"]
DOUBLE = METHODS["double_pruning"]
BY = {"channels": CHANNELS, "bases": BASES, "both": DOUBLE}


@pytest.fixture(scope="module")
def model(digits):
    return digits_model.trained(digits, epochs=2)


@pytest.fixture(scope="module")
def images(digits):
    return digits.train[0][:200]


@pytest.fixture(scope="module")
def cutters(model, images):
    return {
        of: Cutter(model, images, CutOptions(cost=of)) for of in ("flops", "params")
    }


def kept(small, model, counted="flops"):
    """Share of the cost that is left once the network is folded."""
    costs = (getattr(kbp.measure.cost(m), counted) for m in (kbp.fold(small), model))
    after, before = costs
    return after / before


def slim_of(model, cut):
    """The model without the channels that a cut has left out."""
    channels = cut.plan.channels
    return kbp.prune(model, kbp.Plan(channels=channels)) if channels else model


def names(model):
    return [layer.name for layer in model.layers]


def alike(one, other, images, **tolerance):
    np.testing.assert_allclose(
        one.predict(images, verbose=0), other.predict(images, verbose=0), **tolerance
    )


@pytest.mark.parametrize("counted", ["flops", "params"])
@pytest.mark.parametrize("what", BY)
@pytest.mark.parametrize("keep", [0.5, 0.2])
def test_the_share_that_is_left(cutters, model, counted, what, keep):
    cut = cutters[counted].cut(keep, BY[what])
    to_channels = cut.to_channels
    assert {"channels": 1, "bases": 0}.get(what, to_channels) == to_channels
    assert what != "both" or 0 < to_channels < 1
    share = kept(cut.network, model, counted)
    assert keep - 0.035 <= share <= keep * 1.001
    assert bool(cut.plan.bases) == (to_channels != 1)
    assert bool(cut.plan.channels) == (to_channels != 0)
    slim = kept(slim_of(model, cut), model, counted)
    assert keep**to_channels - 0.035 <= slim <= keep**to_channels * 1.001
    assert cut.network.output_shape == model.output_shape


def test_a_good_cut_is_nearly_as_good(cutters, model, digits):
    before = kbp.measure.accuracy(model, digits.validation)
    for what in ("channels", "both"):
        small = kbp.fold(cutters["flops"].cut(0.5, BY[what]).network)
        assert kbp.measure.accuracy(small, digits.validation) > before - 0.02


def test_the_model_stays_as_it_was(cutters, model, images):
    before = model.get_weights()
    cut = cutters["flops"].cut(0.4, DOUBLE)
    assert cutters["flops"].model is model
    owned = {id(v) for v in model.weights}
    assert not owned & {id(v) for v in cut.network.weights}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("what", BY)
def test_the_steps_by_hand(cutters, model, images, what):
    cut = cutters["flops"].cut(0.3, BY[what])
    slim, channels, bases = model, {}, {}
    if what != "bases":
        path = CHANNELS.scores(model, data=images)
        split = path.split() if what == "both" else 1
        assert split == cut.to_channels
        plan = path.plan(0.3**split)
        slim = kbp.compensate(model, plan, images, verbose=0)
        channels = plan.channels
    network = slim
    if what != "channels":
        whole = kbp.convert(slim, data=images, verbose=0)
        share = 0.3 / kept(slim, model)
        plan = kbp.select_bases(whole, keep=share, cost="flops")
        network = kbp.convert(slim, plan, basis="regression", data=images, verbose=0)
        bases = plan.bases
    assert cut.plan == kbp.Plan(bases=bases, channels=channels)
    alike(cut.network, network, images, atol=1e-5)


@pytest.mark.parametrize("what", BY)
def test_the_plan_says_it_all(cutters, model, images, what):
    cut = cutters["params"].cut(0.4, BY[what])
    plan = kbp.Plan.from_json(cut.plan.to_json())
    network = model
    if plan.channels:
        only = kbp.Plan(channels=plan.channels)
        network = kbp.compensate(network, only, images, verbose=0)
    if plan.bases:
        only = kbp.Plan(bases=plan.bases)
        network = kbp.convert(network, only, basis="regression", data=images, verbose=0)
    alike(cut.network, network, images, atol=1e-5)


def test_the_same_cut_again(cutters, model, images):
    one = cutters["flops"].cut(0.25, DOUBLE)
    for cutter in (cutters["flops"], Cutter(model, images, CutOptions())):
        other = cutter.cut(0.25, DOUBLE)
        assert other.plan == one.plan
        alike(other.network, one.network, images, atol=1e-6)


def test_shares_that_can_not_be_reached(cutters, images):
    for counted in ("flops", "params"):
        assert cutters[counted].cut(1e-5, CHANNELS) is None
        assert cutters[counted].cut(1e-15, DOUBLE) is None
    # The head alone has 5 % of the parameters.
    assert cutters["params"].cut(0.03, BASES) is None
    assert cutters["params"].cut(0.2, BASES) is not None


def test_without_compensation_channels_are_cut_out(model, images, cutters):
    plain = Cutter(model, images, CutOptions(compensation=False)).cut(0.3, CHANNELS)
    made_up = cutters["flops"].cut(0.3, CHANNELS)
    assert plain.plan == made_up.plan
    alike(plain.network, kbp.prune(model, plain.plan), images, atol=1e-6)
    wanted = model.predict(images, verbose=0)
    missed, less = (
        np.abs(cut.network.predict(images, verbose=0) - wanted).mean()
        for cut in (plain, made_up)
    )
    assert less < missed / 2


@pytest.mark.parametrize("what", BY)
def test_widths_and_ranks_are_multiples(model, images, what):
    options = CutOptions(limits=kbp.Limits(round_to=8))
    cut = Cutter(model, images, options).cut(0.4, BY[what])
    slim = slim_of(model, cut)
    assert cut.plan.bases or cut.plan.channels
    for found in cut.plan.channels.values():
        assert len(found.indices) % 8 == 0
    for name, found in cut.plan.bases.items():
        rank = len(found.indices)
        *n, width = slim.get_layer(name).kernel.shape
        n = np.prod(n)
        assert rank % 8 == 0 or rank < 8 or rank * (n + width) >= n * width
    assert kept(cut.network, model) <= 0.4 * 1.001


@pytest.fixture(scope="module")
def halved(cutters):
    """What a first cut has left, folded."""
    network = kbp.fold(cutters["flops"].cut(0.3, BASES).network, batch_norm=False)
    assert "conv2_basis" in names(network)
    assert "conv1_basis" not in names(network)
    return network


@pytest.fixture(scope="module")
def cutter(halved, images):
    return Cutter(halved, images, CutOptions())


@pytest.mark.parametrize("keep", [0.7, 0.3])
def test_channels_of_halves_leave(cutter, halved, images, keep):
    cut = cutter.cut(keep, CHANNELS)
    assert keep - 0.05 <= kept(cut.network, halved) <= keep * 1.001
    assert names(cut.network) == names(halved)
    left = set(cut.plan.channels)  # of these layers the outputs need less
    assert left and left <= {"conv1", "conv2_basis", "conv2"}
    again = kbp.compensate(halved, cut.plan, images, verbose=0)
    alike(cut.network, again, images, atol=1e-5)


@pytest.mark.parametrize(("what", "keep"), [("bases", 0.93), ("both", 0.6)])
def test_halves_are_not_halved(cutter, halved, images, what, keep):
    cut = cutter.cut(keep, BY[what])
    assert set(cut.plan.bases) == {"conv1"}
    found = names(kbp.fold(cut.network, batch_norm=False))
    assert found == [
        part
        for name in names(halved)
        for part in (["conv1_basis", "conv1"] if name == "conv1" else [name])
    ]
    share = kept(cut.network, halved)
    assert keep - 0.08 <= share <= keep * 1.001


def test_more_than_the_rest_has_can_not_leave(cutter):
    assert cutter.cut(0.2, BASES) is None


def test_where_all_is_decomposed_only_channels_leave(cutters, images):
    cut = cutters["flops"].cut(0.1, BASES)
    network = kbp.fold(cut.network, batch_norm=False)
    assert {"conv1_basis", "conv2_basis"} <= set(names(network))
    cutter = Cutter(network, images, CutOptions())
    for keep in (0.9, 0.5):
        assert cutter.cut(keep, BASES) is None
        assert cutter.cut(keep, DOUBLE) is None
    cut = cutter.cut(0.6, CHANNELS)
    assert 0.5 <= kept(cut.network, network) <= 0.6 * 1.001


def traces_of(monkeypatch, made):
    """How often models are traced while something is made."""
    module, count = sys.modules["keras_basisprune.graph.trace"], []
    read = module._Reader.read

    def counted(self, model, shapes=None):
        count.append(model.name)
        return read(self, model, shapes)

    with monkeypatch.context() as patch:
        patch.setattr(module._Reader, "read", counted)
        made()
    return len(count)


@pytest.mark.parametrize(
    ("what", "first", "later"), [("channels", 2, 0), ("bases", 3, 0), ("both", 5, 2)]
)
def test_each_model_is_traced_once(model, images, monkeypatch, what, first, later):
    cutter = Cutter(flatten(model), images, CutOptions())  # one that is not known yet
    method = BY[what]
    for keep, traces in ((0.7, first), (0.6, later)):
        found = traces_of(monkeypatch, lambda keep=keep: cutter.cut(keep, method))
        assert found == traces


def test_scores_are_computed_once_for_all_methods_and_shares(model, images):
    made = []

    def scores(prepared, *, data):
        made.append(prepared)
        return CHANNELS.scores(prepared, data=data)

    cutter = Cutter(model, images, CutOptions())
    for row in (CHANNELS, DOUBLE):
        counted = dataclasses.replace(row, scores=scores)
        for keep in (0.5, 0.3):
            found = cutter.cut(keep, counted)
            assert found.plan == Cutter(model, images, CutOptions()).cut(keep, row).plan
    assert made == [model]


def test_predicted_is_the_loss_of_the_channels(model, images):
    found = {}
    cutter = Cutter(model, images, CutOptions(), recall=lambda q, find: found[q])
    path = CHANNELS.scores(model, data=images)
    name = fingerprint(CHANNELS.scores)
    question = f"sensitivity of the whole network, by {name}"
    found[question] = path.whole().to_json()  # so nothing is measured by the cutter
    path.keep_in(lambda q, find: found.setdefault(f"{q}, by {name}", find()))
    assert 0 < path.split() < 1
    for row, keep in ((CHANNELS, 0.6), (DOUBLE, 0.3)):
        cut = cutter.cut(keep, row)
        assert cut.predicted == path.whole().predicted(cut.plan) > 0
        assert cut.plan == Cutter(model, images, CutOptions()).cut(keep, row).plan
    assert math.isnan(cutter.cut(0.5, BASES).predicted)


def test_what_is_measured_of_prepared_networks_has_names_of_its_own(model, images):
    asked = []

    def recall(question, find):
        asked.append(question)
        return find()

    def prepare(given, *, data=None, l1=0.0):
        return flatten(given)

    row = dataclasses.replace(CHANNELS, name="mine", alias="", prepare=prepare)
    cutter = Cutter(model, images, CutOptions(), recall=recall)
    for method in (row, CHANNELS):
        cutter.cut(0.6, method)
    name = fingerprint(CHANNELS.scores)
    question = f"sensitivity of the whole network, by {name}"
    assert asked == [f"{question} after mine", question]


def test_ranks_are_chosen_with_one_trace(model, images, monkeypatch):
    whole = kbp.convert(model, data=images, verbose=0)
    given = ({}, 1), ({"cost": "params"}, 0), ({"scope": "local"}, 0)
    for arguments, traces in given:
        found = traces_of(
            monkeypatch,
            lambda given=arguments: kbp.select_bases(whole, keep=0.5, **given),
        )
        assert found == traces


def test_what_can_not_be_reached_has_an_error_of_its_own(model, images):
    scores = kbp.scores.channels.l2_norm(model)
    limits = kbp.Limits(exclude=".*")
    with pytest.raises(CannotReach, match="`keep` to be a share of the flops"):
        kbp.select_channels(
            model, scores=scores, keep=0.5, limits=limits, scope="global"
        )
    whole = kbp.convert(model, include="conv1")
    with pytest.raises(CannotReach, match="`keep` to be a share of the flops"):
        kbp.select_bases(whole, keep=0.01, cost="flops")
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(NothingToDecompose, match="a layer that can be decomposed"):
        kbp.convert(dense)
    for wrong in (0, 1.5, math.nan):  # a mistake is not taken for such a share
        for choose in (
            lambda keep: kbp.select_channels(
                model, scores=scores, keep=keep, scope="global"
            ),
            lambda keep: kbp.select_bases(whole, keep=keep, cost="params"),
        ):
            with pytest.raises(ValueError, match="`keep` to be a float") as raised:
                choose(wrong)
            assert type(raised.value) is ValueError
