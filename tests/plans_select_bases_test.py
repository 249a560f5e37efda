import keras
import numpy as np
import pytest
from allocation import Proportional, drawn_scores, of_layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune import Plan
from keras_basisprune.plans import Kept
from keras_basisprune.utils.cannot_reach import CannotReach

layers = keras.layers
# By hand: shapes of the kernels' matrices, ranks, and positions of the output maps.
SIZES = {"a": (27, 16), "b": (144, 24), "c": (24, 40), "d": (360, 10)}
RANKS = {name: min(size) for name, size in SIZES.items()}
POSITIONS = {"a": 144, "b": 36, "c": 36, "d": 9}


def network():
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(16, 3, padding="same", name="a")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(24, 3, padding="same", strides=2, use_bias=False, name="b")(x)
    x = layers.SeparableConv2D(40, 3, padding="same", activation="relu", name="c")(x)
    x = layers.Conv2D(10, 3, padding="same", strides=2, name="d")(x)
    x = layers.Dense(6, name="head")(layers.GlobalAveragePooling2D()(x))
    return randomize(keras.Model(inputs, x))


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def converted(model):
    return kbp.convert(model)


def wholes(cost):
    """What each layer costs before."""
    return {
        name: n * cout * (2 * POSITIONS[name] if cost == "flops" else 1)
        for name, (n, cout) in SIZES.items()
    }


def rank_costs(ranks, whole):
    """What the folded layers cost together, whose kernels are two or merged."""
    total = 0.0
    for name, (n, cout) in SIZES.items():
        total += whole[name] * min(ranks[name] * (n + cout) / (n * cout), 1.0)
    return total


def greedy(scores, whole, budget):
    """One basis after the other, best per cost first, while they fit the budget."""
    per_basis = {x: whole[x] * sum(SIZES[x]) / np.prod(SIZES[x]) for x in SIZES}
    order = [
        (score / per_basis[name], name, index)
        for name, values in scores.items()
        for index, score in enumerate(values)
    ]
    kept = {name: [] for name in scores}
    for _, name, index in sorted(order, reverse=True):
        more = {**kept, name: [*kept[name], index]}
        ranks = {x: max(len(indices), 1) for x, indices in more.items()}
        if rank_costs(ranks, whole) > budget:
            break
        kept = more
    return Plan({name: _finished(kept[name], name, scores[name]) for name in kept})


def smallest(whole):
    """What the layers cost with one basis each."""
    return rank_costs(dict.fromkeys(SIZES, 1), whole)


def _finished(indices, name, scores):
    n, cout = SIZES[name]
    if not indices:
        indices = [np.argmax(scores)]
    if len(indices) * (n + cout) >= n * cout:  # folded, it is the original
        indices = range(RANKS[name])
    return Kept(tuple(sorted(indices)), RANKS[name])


def kernel_costs(model, cost):
    """What the kernels of the decomposed layers cost in a folded model, by `cost`."""
    total = 0
    for layer in kbp.measure.cost(model).layers:
        name = layer.name.removesuffix("_basis")
        if name not in SIZES or layer.kind == "SeparableConv2D":
            continue
        bias = model.get_layer(layer.name).bias
        params = layer.params - (0 if bias is None else bias.shape[0])
        total += layer.flops if cost == "flops" else params
    return total


def folded(converted, plan):
    return kbp.fold(kbp.prune(converted, plan), batch_norm=False)


def with_next_best(plan, scores, whole):
    """The plan, with the one basis more that is worth most of what is left."""
    left = {
        (values[index] / whole[name] * np.prod(SIZES[name]) / sum(SIZES[name])): (
            name,
            index,
        )
        for name, values in scores.items()
        for index in set(range(RANKS[name])) - set(plan.bases[name].indices)
    }
    name, index = left[max(left)]
    more = tuple(sorted((*plan.bases[name].indices, index)))
    return Plan({**plan.bases, name: Kept(more, RANKS[name])})


@pytest.mark.parametrize("cost", ["params", "flops"])
@pytest.mark.parametrize("keep", [0.15, 0.3, 0.6])
def test_layers_cost_what_they_may(converted, cost, keep):
    scores, whole = drawn_scores(RANKS, 1, power=3), wholes(cost)
    share = of_layers(converted, keep, cost)
    plan = kbp.select_bases(converted, keep=share, cost=cost, scores=scores)
    budget = keep * sum(whole.values())
    spent = kernel_costs(folded(converted, plan), cost)
    assert spent <= budget
    ranks = {name: len(kept.indices) for name, kept in plan.bases.items()}
    assert spent == round(rank_costs(ranks, whole))
    more = with_next_best(plan, scores, whole)
    assert kernel_costs(folded(converted, more), cost) > budget


@pytest.mark.parametrize("cost", ["params", "flops"])
@pytest.mark.parametrize("keep", [0.4, 0.7])
def test_the_model_costs_what_it_may(model, converted, cost, keep):
    scores = drawn_scores(RANKS, 2, power=3)
    plan = kbp.select_bases(converted, keep=keep, cost=cost, scores=scores)
    budget = keep * getattr(kbp.measure.cost(model), cost)
    assert getattr(kbp.measure.cost(folded(converted, plan)), cost) <= budget
    more = folded(converted, with_next_best(plan, scores, wholes(cost)))
    assert getattr(kbp.measure.cost(more), cost) > budget


def test_bases_of_activations_cost_the_same(model):
    """Their means are no cost, once they are folded; `b` gains a bias of 24."""
    images = np.random.default_rng(0).standard_normal((8, 12, 12, 3))
    converted = kbp.convert(model, data=images, verbose=0)
    scores = drawn_scores(RANKS, 3, power=3)
    for cost, gained in (("params", 24), ("flops", 0)):
        whole, total = wholes(cost), getattr(kbp.measure.cost(model), cost) + gained
        rest = total - sum(whole.values())
        for keep in np.linspace(0.2, 0.9, 15):
            share = of_layers(converted, keep, cost)
            plan = kbp.select_bases(converted, keep=share, cost=cost, scores=scores)
            assert plan == greedy(scores, whole, keep * sum(whole.values()))
            if keep * total - rest < smallest(whole):
                continue
            plan = kbp.select_bases(converted, keep=keep, cost=cost, scores=scores)
            assert plan == greedy(scores, whole, keep * total - rest)
        spent = getattr(kbp.measure.cost(folded(converted, plan)), cost)
        assert spent <= keep * total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cost", ["params", "flops"])
def test_equals_a_greedy_choice(model, converted, cost, seed):
    scores, whole = drawn_scores(RANKS, 10 + seed, power=3), wholes(cost)
    rest = getattr(kbp.measure.cost(model), cost) - sum(whole.values())
    for keep in (0.1, 0.2, 0.5, 0.8, 0.95):
        share = of_layers(converted, keep, cost)
        plan = kbp.select_bases(converted, keep=share, cost=cost, scores=scores)
        assert plan == greedy(scores, whole, keep * sum(whole.values()))
    for keep in (0.4, 0.9):
        plan = kbp.select_bases(converted, keep=keep, cost=cost, scores=scores)
        budget = keep * (sum(whole.values()) + rest) - rest
        assert plan == greedy(scores, whole, budget)


@pytest.mark.parametrize("seed", range(3))
def test_milliseconds(model, converted, seed):
    """Times that are in proportion to weights: ranks are as by a dear kind of cost."""
    scores = drawn_scores(RANKS, 4, power=3)
    table = Proportional(np.random.default_rng(seed).uniform(0.1, 9.0, 24))
    whole = {
        name: table.milliseconds(
            layers.Conv2D(cout, size, strides, padding="same"), shape
        )
        for name, cout, size, strides, shape in (
            ("a", 16, 3, 1, (12, 12, 3)),
            ("b", 24, 3, 2, (12, 12, 16)),
            ("c", 40, 1, 1, (6, 6, 24)),
            ("d", 10, 3, 2, (6, 6, 40)),
        )
    }
    depthwise = table.milliseconds(
        layers.DepthwiseConv2D(3, padding="same"), (6, 6, 24)
    )
    rest = depthwise + table.milliseconds(layers.Dense(6), (10,))
    total = rest + sum(whole.values())
    assert kbp.measure.predicted_latency(model, table) == pytest.approx(total)
    keep = (0.35 * sum(whole.values()) + rest) / total
    plan = greedy(scores, whole, 0.35 * sum(whole.values()))
    for given in (model, converted):
        assert plan == kbp.select_bases(given, keep=keep, cost=table, scores=scores)


def test_scores_are_energies_unless_given(converted):
    energies, share = kbp.scores.energy(converted), of_layers(converted, 0.3)
    plan = kbp.select_bases(converted, keep=share, cost="params")
    given = {"scores": energies, "cost": "params"}
    assert plan == kbp.select_bases(converted, keep=share, **given)
    budget = 0.3 * sum(wholes("params").values())
    assert plan == greedy(energies, wholes("params"), budget)
    for kept in plan.bases.values():  # singular values descend
        assert kept.indices == tuple(range(len(kept.indices)))


@pytest.mark.parametrize("cost", ["params", "flops", "bases"])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_keep_1_keeps_all(converted, cost, scope):
    plan = kbp.select_bases(converted, keep=1, cost=cost, scope=scope)
    everything = {x: Kept(tuple(range(rank)), rank) for x, rank in RANKS.items()}
    assert plan == Plan(everything)


def test_what_would_cost_as_much_keeps_all(converted):
    """`r (27 + 16) >= 27 * 16` from `r = 11` of 16 on."""
    scores = {name: np.zeros(rank) for name, rank in RANKS.items()}
    scores["a"] = np.r_[np.full(10, 2.0), np.ones(5), 0.0]  # the last is masked
    ones = {"b": 144 + 24, "c": 24 + 40, "d": 360 + 10}
    total, one = sum(wholes("params").values()), sum(ones.values())
    for rank, budget in ((10, 10 * 43), (10, 27 * 16 - 1), (15, 27 * 16)):
        keep = of_layers(converted, (budget + one) / total)
        plan = kbp.select_bases(converted, keep=keep, scores=scores, cost="params")
        assert plan.bases["a"] == Kept(tuple(range(rank)), 16)


@pytest.mark.parametrize("least", [1, 2, 5, 12, 99])
def test_min_kept(converted, least):
    scores, whole = drawn_scores(RANKS, 5, power=3), wholes("params")
    limits = kbp.Limits(min_kept=least)
    demanded = {name: min(least, rank) for name, rank in RANKS.items()}
    for keep in (0.001, 0.3, 0.7):
        share, budget = of_layers(converted, keep), keep * sum(whole.values())
        given = {"scores": scores, "cost": "params", "limits": limits}
        if rank_costs(demanded, whole) > budget:
            with pytest.raises(CannotReach, match="`keep` to be a share of the params"):
                kbp.select_bases(converted, keep=share, **given)
            continue
        plan = kbp.select_bases(converted, keep=share, **given)
        ranks = {name: len(kept.indices) for name, kept in plan.bases.items()}
        assert all(ranks[name] >= demanded[name] for name in RANKS)
        assert rank_costs(ranks, whole) <= budget * (1 + 1e-9)
