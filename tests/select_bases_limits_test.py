import re

import keras
import numpy as np
import pytest
from allocation import drawn_scores, of_layers
from models import KINDS, randomize

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.graph.trace import trace
from keras_basisprune.utils.cannot_reach import CannotReach

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
    assert indices(kbp.select_bases(copy, keep=1.0, cost="params")) == alive
    pruned = kbp.prune(copy, kbp.select_bases(copy, keep=1.0, cost="params"))
    ranks = {x: pair.rank for x, pair in basis_pairs(trace(pruned)).items()}
    assert ranks == {"wide": 3, "tall": 4}
    for keep in (0.11, 0.2, 0.4):
        for name, kept in indices(
            kbp.select_bases(copy, keep=keep, cost="params")
        ).items():
            assert set(kept) <= set(alive[name])


def test_zero_scores_are_not_kept(converted):
    scores = {"wide": np.zeros(16), "tall": np.zeros(12)}
    scores["wide"][[3, 9]] = 1.0
    scores["tall"][[0, 7, 10]] = 1e-300
    plan = kbp.select_bases(converted, keep=1.0, scores=scores, cost="params")
    assert indices(plan) == {"wide": (3, 9), "tall": (0, 7, 10)}


def test_a_layer_without_any_score_keeps_one(model, converted):
    scores = {"wide": np.zeros(16), "tall": np.ones(12)}
    plan = kbp.select_bases(converted, keep=1.0, scores=scores, cost="params")
    assert indices(plan) == {"wide": (0,), "tall": tuple(range(12))}
    copy = masked(model, {"wide": (), "tall": (2,)})
    assert indices(kbp.select_bases(copy, keep=1.0, cost="params")) == {
        "wide": (0,),
        "tall": (2,),
    }


def test_what_is_demanded_may_be_masked(model):
    copy = masked(model, {"wide": (4, 6), "tall": (3,)})
    found = indices(
        kbp.select_bases(copy, keep=1.0, cost="params", limits=kbp.Limits(min_kept=3))
    )
    assert found == {"wide": (0, 4, 6), "tall": (0, 1, 3)}


def test_equal_scores_share_their_fate(converted):
    scores = {"wide": np.ones(16), "tall": np.repeat([40.0, 20.0, 10.0], 4)}
    one = 144 + 12
    for keep, rank in ((4, 4), (7.9, 4), (8.1, 8), (11, 8)):
        # And one basis of `wide`.
        share = of_layers(converted, (keep * one + 34) / TOTAL)
        plan = kbp.select_bases(converted, keep=share, scores=scores, cost="params")
        assert indices(plan) == {"wide": (0,), "tall": tuple(range(rank))}


@pytest.mark.parametrize("round_to", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("cost", ["params", "flops"])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_round_to(converted, round_to, cost, scope):
    scores, limits = drawn_scores(RANKS, 1), kbp.Limits(round_to=round_to)
    for keep in np.linspace(0.5, 0.95, 8):
        plan = kbp.select_bases(
            converted,
            keep=of_layers(converted, keep, cost),
            cost=cost,
            scores=scores,
            scope=scope,
            limits=limits,
        )
        spent = 0.0
        for name, kept in plan.bases.items():
            rank, full = len(kept.indices), RANKS[name]
            assert rank == full or rank % round_to == 0
            best = np.argsort(-scores[name])[:rank]
            assert kept.indices == tuple(sorted(best))
            spent += min(rank * sum(SIZES[name]), np.prod(SIZES[name]))
        assert spent <= keep * TOTAL * (1 + 1e-9)


def test_round_to_by_hand(converted):
    """Seven bases of `tall` fit, beside those of `wide` that limits demand."""
    scores = {"wide": np.full(16, 1e-9), "tall": np.arange(12.0, 0.0, -1.0)}
    given = {"scores": scores, "cost": "params"}
    for round_to, rank in ((1, 7), (2, 6), (3, 6), (4, 4), (5, 5), (7, 7)):
        keep = of_layers(converted, (7 * 156 + round_to * 34 + 1) / TOTAL)
        limits = kbp.Limits(round_to=round_to)
        plan = kbp.select_bases(converted, keep=keep, limits=limits, **given)
        assert len(plan.bases["tall"].indices) == rank
        assert len(plan.bases["wide"].indices) == round_to
    limits = kbp.Limits(round_to=4, min_kept=6)  # eight of each
    with pytest.raises(CannotReach, match="wider `limits`"):
        kbp.select_bases(converted, keep=keep, limits=limits, **given)
    keep = of_layers(converted, (8 * 156 + 8 * 34) / TOTAL)
    plan = kbp.select_bases(converted, keep=keep, limits=limits, **given)
    assert indices(plan) == {"wide": tuple(range(8)), "tall": tuple(range(8))}


def test_rounding_is_paid_for_by_others(converted):
    scores = {"wide": np.arange(16.0, 0.0, -1.0), "tall": np.ones(12)}
    scores["tall"][:2] = 1e6
    keep = of_layers(converted, (2 * 156 + 7 * 34) / TOTAL)
    for round_to, wide in ((1, 7), (2, 6)):
        limits = kbp.Limits(round_to=round_to)
        given = {"scores": scores, "cost": "params", "limits": limits}
        plan = kbp.select_bases(converted, keep=keep, **given)
        assert indices(plan) == {"wide": tuple(range(wide)), "tall": (0, 1)}


def test_the_same_share_of_each_layer(converted):
    """By scores within the layer: those of `tall` are larger, and count no more."""
    scores = {"wide": np.arange(16.0, 0.0, -1.0), "tall": np.arange(12.0)[::-1] + 99}
    for number, keep in enumerate((0.25, 0.5, 0.75)):
        plan = kbp.select_bases(
            converted, keep=keep, scores=scores, cost="bases", scope="local"
        )
        ranks = {"wide": 4 * (number + 1), "tall": 3 * (number + 1)}
        assert indices(plan) == {x: tuple(range(rank)) for x, rank in ranks.items()}
    spent = 6 * 34 + 5 * 156  # more than 5 / 16 of `wide` and 4 / 12 of `tall`
    plan = kbp.select_bases(
        converted,
        keep=of_layers(converted, (spent - 1) / TOTAL),
        scores=scores,
        cost="params",
        scope="local",
    )
    assert indices(plan) == {"wide": tuple(range(6)), "tall": tuple(range(4))}


def test_a_share_of_the_number_of_bases(converted):
    scores = drawn_scores(RANKS, 7)
    order = np.sort(np.concatenate(list(scores.values())))[::-1]
    for keep in (0.2, 0.5, 0.9):
        plan = kbp.select_bases(converted, keep=keep, scores=scores, cost="bases")
        count = int(keep * 28)
        for name, kept in indices(plan).items():
            assert kept == tuple(np.flatnonzero(scores[name] >= order[count - 1]))


@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("aim", [{"keep": 0.4}, {"threshold": 0.6}])
def test_no_layer_loses_more_than_it_may(converted, scope, aim):
    scores = {"wide": np.full(16, 1e-6), "tall": np.arange(12.0, 0.0, -1.0)}
    scores["wide"][5] = 1e-3
    given = {"scores": scores, "cost": "bases", "scope": scope, **aim}
    for share, least in ((1.0, 1), (0.8, 4), (0.75, 4), (0.7, 5)):
        limits = kbp.Limits(max_removed=share)
        found = indices(kbp.select_bases(converted, limits=limits, **given))
        assert len(found["wide"]) >= least
        assert 5 in found["wide"]
        if scope == "global":
            assert len(found["wide"]) == least


@pytest.mark.parametrize("given", ["tall", "t.*", "tall_basis", "tall_scaling"])
@pytest.mark.parametrize("aim", [{"keep": 0.95}, {"threshold": 0.9}])
def test_excluded_layers_lose_nothing(model, converted, given, aim):
    scores = {"wide": np.arange(16.0, 0.0, -1.0), "tall": np.full(12, 1e-9)}
    limits = kbp.Limits(exclude=given)
    arguments = {"scores": scores, "cost": "bases", "limits": limits, **aim}
    found = indices(kbp.select_bases(converted, **arguments))
    assert found["tall"] == tuple(range(12))
    assert len(found["wide"]) < 16
    if given in ("tall", "t.*"):
        assert indices(kbp.select_bases(model, **arguments)) == found
    free = {**arguments, "limits": None}
    assert len(indices(kbp.select_bases(converted, **free))["tall"]) < 12


def test_what_is_excluded_by_class_or_predicate_or_masked(model):
    copy = masked(model, {"wide": (0, 2, 5), "tall": (1, 3, 4, 11)})
    for exclude in (layers.Conv2D, lambda layer: layer.name in ("wide", "tall")):
        limits = kbp.Limits(exclude=exclude)
        plan = kbp.select_bases(copy, threshold=1.0, limits=limits)
        assert indices(plan) == {"wide": (0, 2, 5), "tall": (1, 3, 4, 11)}
    with pytest.raises(ValueError, match="`exclude` to match the name of a layer"):
        kbp.select_bases(copy, keep=0.5, limits=kbp.Limits(exclude="nowhere"))


def test_thresholds(model, converted):
    """Scores count by their layer's largest, or by the largest of all, per cost."""
    scores = {"wide": np.linspace(1, 0, 16), "tall": np.linspace(10, 0, 12)}
    given = {"threshold": 0.5, "scores": scores}
    each = {"params": (34, 156), "flops": (34, 156), "bases": (1, 1)}
    for cost, (wide, tall) in each.items():
        local = indices(kbp.select_bases(converted, cost=cost, scope="local", **given))
        assert local == {"wide": tuple(range(8)), "tall": tuple(range(6))}
        found = indices(kbp.select_bases(converted, cost=cost, **given))
        values = {"wide": scores["wide"] / wide, "tall": scores["tall"] / tall}
        most = max(values["wide"].max(), values["tall"].max())
        assert found == {
            name: tuple(np.flatnonzero(own >= 0.5 * most)) or (0,)
            for name, own in values.items()
        }
        assert indices(kbp.select_bases(model, cost=cost, **given)) == found


def test_given_scores_do_not_change_and_may_be_lists(converted):
    scores = drawn_scores(RANKS, 2)
    before = {name: values.copy() for name, values in scores.items()}
    plan = kbp.select_bases(converted, keep=0.3, scores=scores, cost="params")
    for name, values in scores.items():
        np.testing.assert_array_equal(values, before[name])
    lists = {name: values.tolist() for name, values in scores.items()}
    assert plan == kbp.select_bases(
        converted, keep=0.3, scores={**lists, "other": [1.0]}, cost="params"
    )
    scaled = {name: 7.0 * values for name, values in scores.items()}
    assert plan == kbp.select_bases(converted, keep=0.3, scores=scaled, cost="params")


def test_a_larger_share_keeps_more(converted):
    before = {name: set() for name in RANKS}
    for keep in np.linspace(0.11, 1.0, 25):
        found = indices(
            kbp.select_bases(
                converted, keep=keep, scores=drawn_scores(RANKS, 3), cost="params"
            )
        )
        assert all(before[name] <= set(found[name]) for name in RANKS)
        before = {name: set(kept) for name, kept in found.items()}
    assert {name: len(kept) for name, kept in before.items()} == RANKS


@pytest.mark.parametrize("cost", ["params", "flops"])
@pytest.mark.parametrize("kind", ["conv1d", "conv3d", "channels_first", "shared"])
def test_other_kinds_of_layers(kind, cost):
    model = randomize(KINDS[kind]())
    copy = kbp.convert(model)
    plan = kbp.select_bases(copy, keep=0.7, cost=cost)
    assert plan.bases.keys() == basis_pairs(trace(copy)).keys()
    small = kbp.fold(kbp.prune(copy, plan), batch_norm=False)
    before, after = (getattr(kbp.measure.cost(net), cost) for net in (model, small))
    assert 0.4 * before < after <= 0.7 * before


def test_open_input_sizes():
    copy = kbp.convert(network(None))
    fixed = kbp.convert(network())
    assert kbp.select_bases(copy, keep=0.3, cost="params") == kbp.select_bases(
        fixed, keep=0.3, cost="params"
    )
    with pytest.raises(ValueError, match="fixed input size for `cost='flops'`"):
        kbp.select_bases(copy, keep=0.3, cost="flops")


@pytest.mark.parametrize("keep", [0, 0.0, -0.5, 1.01, 25, float("nan")])
def test_refuses_keep(converted, keep):
    match = r"`keep` to be a float in \(0, 1\].*Received: keep="
    with pytest.raises(ValueError, match=match):
        kbp.select_bases(converted, keep=keep, cost="params")


@pytest.mark.parametrize("cost", ["bytes", "channels", None, 3, {"wide": 1.0}])
def test_refuses_cost(converted, cost):
    match = "`cost` to be 'flops', 'params' or 'bases'. Received: "
    match += re.escape(f"cost={cost!r}") + ".*Or pass a `LatencyTable`"
    with pytest.raises(ValueError, match=match):
        kbp.select_bases(converted, keep=0.5, cost=cost)


@pytest.mark.parametrize(
    ("aim", "received"),
    [
        ({}, "keep=None, threshold=None"),
        ({"keep": 0.5, "threshold": 0.1}, "keep=0.5, threshold=0.1"),
    ],
)
def test_refuses_both_or_neither(converted, aim, received):
    match = f"exactly one of `keep` and `threshold`. Received: {received}"
    with pytest.raises(ValueError, match=match):
        kbp.select_bases(converted, **aim)


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf"), "0.1", True])
def test_refuses_threshold(converted, threshold):
    match = "`threshold` to be a finite number >= 0. Received: threshold="
    with pytest.raises(ValueError, match=match):
        kbp.select_bases(converted, threshold=threshold)


@pytest.mark.parametrize("scope", ["layers", None, 3])
def test_refuses_scope(converted, scope):
    match = "`scope` to be 'local' or 'global'. Received: " + re.escape(f"{scope!r}")
    with pytest.raises(ValueError, match=match.replace(": ", ": scope=")):
        kbp.select_bases(converted, keep=0.5, scope=scope)


@pytest.mark.parametrize("name", ["min_kept", "round_to"])
@pytest.mark.parametrize("value", [0, -1, 2.0, None, "2"])
def test_refuses_limits(name, value):
    match = f"`{name}` to be a positive integer. Received: {name}={value!r}"
    with pytest.raises(ValueError, match=match):
        kbp.Limits(**{name: value})


@pytest.mark.parametrize(
    "values", [np.ones(11), np.ones((12, 1)), -np.ones(12), np.full(12, np.nan), None]
)
def test_refuses_scores(converted, values):
    scores = {"wide": np.ones(16)} | ({} if values is None else {"tall": values})
    match = r"`scores` to hold an array of shape \(12,\), all numbers >= 0.*for `tall`"
    with pytest.raises(ValueError, match=match):
        kbp.select_bases(converted, keep=0.5, scores=scores, cost="params")


def test_refuses_what_the_other_layers_use_up():
    inputs = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.Conv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(50, name="head")(x))
    rest, one, whole = 4 + 64 * 50 + 50, 18 + 4, 18 * 4
    share, others = (rest + one) / (rest + whole), rest / (rest + whole)
    match = "`keep` to be a share of the params that can.*Received: keep=0.5; the "
    match += f"smallest share is {share:.3f}, of which {others:.3f} is in layers that"
    for given in (model, kbp.convert(model)):
        with pytest.raises(CannotReach, match=match):
            kbp.select_bases(given, keep=0.5, cost="params")
        plan = kbp.select_bases(given, keep=share + 1e-9, cost="params")
        assert indices(plan) == {"conv": (0,)}
        named = float(f"{np.ceil(share * 1000) / 1000:.3f}")
        assert indices(kbp.select_bases(given, keep=named, cost="params"))


def test_a_model_with_nothing_to_decompose():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, name="head")(inputs))
    with pytest.raises(NothingToDecompose, match="a layer that can be decomposed"):
        kbp.select_bases(model, keep=0.5)
    plan = kbp.select_bases(model, threshold=0.1, scores={"head": [3.0, 1.0, 0.1]})
    assert indices(plan) == {"head": (0, 1)}
    with pytest.raises(ValueError, match=r"name layers of `model`.*\['x'\].*'head'"):
        kbp.select_bases(model, keep=0.5, scores={"x": [1.0]})


def test_data_of_a_converted_model_is_refused(converted):
    with pytest.raises(ValueError, match="`data` to be None for a converted model"):
        kbp.select_bases(converted, keep=0.5, data=np.zeros((4, 6, 6, 2)))
