import re

import keras
import numpy as np
import pytest
from allocation import drawn_scores
from models import KINDS, randomize

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace

layers = keras.layers
SIZES = {"wide": (18, 16), "tall": (144, 12)}
RANKS = {"wide": 16, "tall": 12}
TOTAL = 18 * 16 + 144 * 12


def network(size=6, name=None):
    x = inputs = keras.Input((size, size, 2))
    x = layers.Conv2D(16, 3, padding="same", name="wide")(x)
    x = layers.Conv2D(12, 3, padding="same", name="tall")(x)
    return randomize(keras.Model(inputs, x, name=name))


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def converted(model):
    return kbp.convert(model)


def masked(model, alive):
    """A converted copy in which only the bases `alive` are not masked."""
    copy = kbp.convert(model)
    for name, pair in basis_pairs(trace(copy)).items():
        mask = np.isin(np.arange(pair.rank), alive[name]).astype("float32")
        pair.scaling.mask.assign(mask)
    return copy


def indices(plan):
    return {name: kept.indices for name, kept in plan.bases.items()}


def test_masked_bases_are_not_kept(model):
    alive = {"wide": (0, 2, 5), "tall": (1, 3, 4, 11)}
    copy = masked(model, alive)
    assert indices(kbp.allocate(copy, 1.0)) == alive
    pruned = kbp.prune(copy, kbp.allocate(copy, 1.0))
    ranks = {x: pair.rank for x, pair in basis_pairs(trace(pruned)).items()}
    assert ranks == {"wide": 3, "tall": 4}
    for keep in (0.01, 0.2, 0.4):
        for name, kept in indices(kbp.allocate(copy, keep)).items():
            assert set(kept) <= set(alive[name])


def test_zero_scores_are_not_kept(converted):
    scores = {"wide": np.zeros(16), "tall": np.zeros(12)}
    scores["wide"][[3, 9]] = 1.0
    scores["tall"][[0, 7, 10]] = 1e-300
    plan = kbp.allocate(converted, 1.0, scores=scores)
    assert indices(plan) == {"wide": (3, 9), "tall": (0, 7, 10)}


def test_a_layer_without_any_score_keeps_one(model, converted):
    scores = {"wide": np.zeros(16), "tall": np.ones(12)}
    plan = kbp.allocate(converted, 1.0, scores=scores)
    assert indices(plan) == {"wide": (0,), "tall": tuple(range(12))}
    copy = masked(model, {"wide": (), "tall": (2,)})
    assert indices(kbp.allocate(copy, 1.0)) == {"wide": (0,), "tall": (2,)}


def test_what_is_demanded_may_be_masked(model):
    copy = masked(model, {"wide": (4, 6), "tall": (3,)})
    found = indices(kbp.allocate(copy, 1.0, min_rank=3))
    assert found == {"wide": (0, 4, 6), "tall": (0, 1, 3)}


def test_equal_scores_share_their_fate(converted):
    scores = {"wide": np.ones(16), "tall": np.repeat([40.0, 20.0, 10.0], 4)}
    one = 144 + 12
    for keep, rank in ((4, 4), (7.9, 4), (8.1, 8), (11, 8)):
        share = (keep * one + 34) / TOTAL  # and one basis of `wide`
        plan = kbp.allocate(converted, share, scores=scores)
        assert indices(plan) == {"wide": (0,), "tall": tuple(range(rank))}


@pytest.mark.parametrize("round_to", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("cost", ["params", "flops"])
def test_round_to(converted, round_to, cost):
    scores = drawn_scores(RANKS, 1)
    for keep in np.linspace(0.3, 0.95, 8):
        plan = kbp.allocate(converted, keep, cost, scores=scores, round_to=round_to)
        spent = 0.0
        for name, kept in plan.bases.items():
            rank, full = len(kept.indices), RANKS[name]
            assert rank == full or rank < round_to or rank % round_to == 0
            best = np.argsort(-scores[name])[:rank]
            assert kept.indices == tuple(sorted(best))
            spent += min(rank * sum(SIZES[name]), np.prod(SIZES[name]))
        assert spent <= keep * TOTAL


def test_round_to_by_hand(converted):
    """Seven bases of `tall` fit, and are rounded down."""
    scores = {"wide": np.full(16, 1e-9), "tall": np.arange(12.0, 0.0, -1.0)}
    keep = (7 * 156 + 34 + 1) / TOTAL
    for round_to, rank in ((1, 7), (2, 6), (3, 6), (4, 4), (5, 5), (7, 7)):
        plan = kbp.allocate(converted, keep, scores=scores, round_to=round_to)
        assert len(plan.bases["tall"].indices) == rank
    plan = kbp.allocate(converted, keep, scores=scores, round_to=4, min_rank=6)
    assert len(plan.bases["tall"].indices) == 6


def test_rounding_frees_what_others_may_spend(converted):
    scores = {"wide": np.arange(16.0, 0.0, -1.0), "tall": np.ones(12)}
    scores["tall"][:2] = 1e6
    keep = (2 * 156 + 7 * 34) / TOTAL
    for round_to, wide in ((1, 7), (2, 6)):
        plan = kbp.allocate(converted, keep, scores=scores, round_to=round_to)
        assert indices(plan) == {"wide": tuple(range(wide)), "tall": (0, 1)}


def test_given_scores_do_not_change_and_may_be_lists(converted):
    scores = drawn_scores(RANKS, 2)
    before = {name: values.copy() for name, values in scores.items()}
    plan = kbp.allocate(converted, 0.3, scores=scores)
    for name, values in scores.items():
        np.testing.assert_array_equal(values, before[name])
    lists = {name: values.tolist() for name, values in scores.items()}
    assert plan == kbp.allocate(converted, 0.3, scores={**lists, "other": [1.0]})
    scaled = {name: 7.0 * values for name, values in scores.items()}
    assert plan == kbp.allocate(converted, 0.3, scores=scaled)


def test_a_larger_share_keeps_more(converted):
    before = {name: set() for name in RANKS}
    for keep in np.linspace(0.02, 1.0, 25):
        found = indices(kbp.allocate(converted, keep, scores=drawn_scores(RANKS, 3)))
        assert all(before[name] <= set(found[name]) for name in RANKS)
        before = {name: set(kept) for name, kept in found.items()}
    assert {name: len(kept) for name, kept in before.items()} == RANKS


@pytest.mark.parametrize("cost", ["params", "flops"])
@pytest.mark.parametrize("kind", ["conv1d", "conv3d", "channels_first", "shared"])
def test_other_kinds_of_layers(kind, cost):
    model = randomize(KINDS[kind]())
    copy = kbp.convert(model)
    plan = kbp.allocate(copy, 0.7, cost, of="model")
    assert plan.bases.keys() == basis_pairs(trace(copy)).keys()
    small = kbp.fold(kbp.prune(copy, plan), batch_norm=False)
    before, after = (getattr(kbp.cost(net), cost) for net in (model, small))
    assert 0.4 * before < after <= 0.7 * before


def test_open_input_sizes():
    copy = kbp.convert(network(None))
    fixed = kbp.convert(network())
    assert kbp.allocate(copy, 0.3) == kbp.allocate(fixed, 0.3)
    with pytest.raises(ValueError, match="fixed input size for `cost='flops'`"):
        kbp.allocate(copy, 0.3, "flops")


@pytest.mark.parametrize("keep", [0, 0.0, -0.5, 1.01, 25, float("nan")])
def test_refuses_keep(converted, keep):
    match = r"`keep` to be a float in \(0, 1\].*Received: keep="
    with pytest.raises(ValueError, match=match):
        kbp.allocate(converted, keep)


@pytest.mark.parametrize("cost", ["bytes", None, 3, ["params"]])
def test_refuses_cost(converted, cost):
    match = "`cost` to be 'params' or 'flops'. Received: " + re.escape(f"cost={cost!r}")
    match += ".*Or pass a dict from layer names to costs"
    with pytest.raises(ValueError, match=match):
        kbp.allocate(converted, 0.5, cost)


@pytest.mark.parametrize(
    ("of", "cost", "received"),
    [
        ("all", "params", "or 'model'. Received: of='all'"),
        (None, "flops", "or 'model'. Received: of=None"),
        ("model", {"wide": 1, "tall": 2}, "where `cost` is a dict. Received: of='mo"),
    ],
)
def test_refuses_of(converted, of, cost, received):
    with pytest.raises(ValueError, match=f"`of` to be 'layers' {received}"):
        kbp.allocate(converted, 0.5, cost, of)


@pytest.mark.parametrize("name", ["min_rank", "round_to"])
@pytest.mark.parametrize("value", [0, -1, 2.0, None, "2"])
def test_refuses_limits(converted, name, value):
    match = f"`{name}` to be a positive integer. Received: {name}={value!r}"
    with pytest.raises(ValueError, match=match):
        kbp.allocate(converted, 0.5, **{name: value})


@pytest.mark.parametrize(
    ("costs", "received"),
    [
        ({"wide": 1.0}, "{'tall': None}"),
        ({}, "{'wide': None, 'tall': None}"),
        ({"wide": 0, "tall": -2.5}, "{'wide': 0, 'tall': -2.5}"),
        ({"wide": float("nan"), "tall": 1}, "{'wide': nan}"),
    ],
)
def test_refuses_costs_in_a_dict(converted, costs, received):
    match = "`cost` to give every decomposed layer a number > 0. Received: "
    with pytest.raises(ValueError, match=match + re.escape(received)):
        kbp.allocate(converted, 0.5, costs)


@pytest.mark.parametrize(
    "values", [np.ones(11), np.ones((12, 1)), -np.ones(12), np.full(12, np.nan), None]
)
def test_refuses_scores(converted, values):
    scores = {"wide": np.ones(16)} | ({} if values is None else {"tall": values})
    match = r"`scores` to hold an array of shape \(12,\), all numbers >= 0, for `tall`"
    with pytest.raises(ValueError, match=match):
        kbp.allocate(converted, 0.5, scores=scores)


def test_refuses_what_the_other_layers_use_up():
    inputs = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3, name="conv")(inputs))
    copy = kbp.convert(keras.Model(inputs, layers.Dense(50, name="head")(x)))
    rest = 4 + 64 * 50 + 50
    match = f"`keep` to leave something.*keep=0.5 with of='model'.*cost {rest:,}"
    with pytest.raises(ValueError, match=match):
        kbp.allocate(copy, 0.5, of="model")
    assert len(kbp.allocate(copy, 0.5).bases["conv"].indices) == 1


def test_refuses_a_model_that_is_not_converted():
    match = "Expected `model` to be a converted model. Received: model='ordinary', wit"
    with pytest.raises(ValueError, match=match):
        kbp.allocate(network(name="ordinary"), 0.5)
