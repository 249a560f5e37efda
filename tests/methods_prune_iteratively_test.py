"""Iterations: what is prepared, trained and cut, again and again, and when it ends."""

import dataclasses

import keras
import numpy as np
import pytest
from contract import same_state, state_of
from keras import layers
from models import identical, outputs, randomize, relative_difference

import keras_basisprune as kbp
from keras_basisprune.layers import TrainedMask
from keras_basisprune.methods import METHODS, Iterations, prune_iteratively


def network(softmax=True):
    x = inputs = keras.Input((6, 6, 3))
    for name in ("a", "b"):
        x = layers.Conv2D(8, 3, activation="relu", name=name)(x)
    x = layers.Dense(2, "softmax" if softmax else None)(layers.Flatten()(x))
    return randomize(keras.Model(inputs, x))


def data(model, count=12):
    """Images, and what the model calls them."""
    x = np.random.default_rng(0).normal(size=(count, 6, 6, 3)).astype("float32")
    return x, model.predict(x, verbose=0).argmax(-1)


def masking(counts, name="channel_scaling"):
    """A method whose training masks so many of what the first layer weighs."""
    seen = []

    def train(prepared, train, **given):
        seen.append(given)
        first = next(x for x in prepared.layers if isinstance(x, TrainedMask))
        mask = np.ones(first.scale.shape)
        mask[: counts[len(seen) - 1]] = 0.0
        first.mask.assign(mask)

    return dataclasses.replace(METHODS[name], train=train), seen


def test_it_ends_when_an_iteration_removes_little():
    model = network()
    state = state_of(model)
    method, seen = masking([3, 2, 0, 1])
    config = Iterations(epochs=7, seed=5)
    result = prune_iteratively(model, method, data(model), config=config)
    assert [len(step.plan.channels["a"].indices) for step in result.iterations] == [
        5,
        3,
        3,
    ]
    assert [given["seed"] for given in seen] == [5, 6, 7]
    assert {given["epochs"] for given in seen} == {7}
    assert result.model.get_layer("a").filters == 3
    assert result.model.get_layer("b").filters == 8
    sizes = [model.count_params(), *(step.params for step in result.iterations)]
    for step, before, after in zip(result.iterations, sizes, sizes[1:], strict=False):
        assert step.removed == pytest.approx(1 - after / before)
        assert step.kept
        assert step.accuracy is None
    assert sizes[-1] == result.model.count_params()
    assert same_state(state, state_of(model))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Iterations(most=2), [5, 4]),
        (Iterations(least_removed=0.5), [5]),
        (Iterations(least_removed=0.0, cost="flops"), [5, 4, 3]),
    ],
)
def test_when_it_ends_can_be_set(config, expected):
    model = network()
    config = dataclasses.replace(config, most=min(config.most, 3))
    method, _ = masking([3, 1, 1])
    found = prune_iteratively(model, method, data(model), config=config).iterations
    assert [len(step.plan.channels["a"].indices) for step in found] == expected


def test_an_iteration_that_costs_too_much_is_taken_back():
    model = network()
    x, y = data(model)
    method, _ = masking([0, 7, 7])
    config = Iterations(max_drop=0.0, least_removed=0.0)
    plain = prune_iteratively(
        model, masking([7])[0], (x, y), (x, y), config=Iterations(most=1)
    )
    assert (
        plain.iterations[0].accuracy == kbp.measure.accuracy(plain.model, (x, y)) < 1.0
    )
    result = prune_iteratively(model, method, (x, y), (x, y), config=config)
    assert [step.kept for step in result.iterations] == [True, False]
    assert relative_difference(outputs(model, [x]), outputs(result.model, [x])) <= 1e-6
    allowed = dataclasses.replace(config, baseline=plain.iterations[0].accuracy, most=2)
    result = prune_iteratively(
        model, masking([0, 7])[0], (x, y), (x, y), config=allowed
    )
    assert [step.kept for step in result.iterations] == [True, True]
    assert result.model.get_layer("a").filters == 1


@pytest.mark.parametrize("cost", ["params", "flops"])
def test_a_share_stays_in_each_iteration(cost):
    """The channels with the smallest scales leave, as many as the share asks for."""
    model = network()
    config = Iterations(keep=0.6, cost=cost, epochs=3, most=2, least_removed=0.0)
    method, masks = METHODS["channel_scaling"], []

    def train(prepared, pair, **given):
        method.train(prepared, pair, **given)
        found = [x for x in prepared.layers if isinstance(x, TrainedMask)]
        masks.append({x.name: (np.array(x.mask), np.abs(x.scale)) for x in found})

    watched = dataclasses.replace(method, train=train)
    result = prune_iteratively(model, watched, data(model), config=config)
    before = getattr(kbp.measure.cost(model), cost)
    for step, found in zip(result.iterations, masks, strict=True):
        after = getattr(step, cost)
        assert 0.4 * before < after <= 0.6 * before
        assert step.removed == pytest.approx(1 - after / before)
        before = after
        # What was masked in training is what left, and training went on after it.
        kept = np.concatenate([mask for mask, _ in found.values()])
        assert 0 < kept.sum() < len(kept)
        for name in ("a", "b"):
            mask, _ = found[f"{name}_channel_scaling"]
            plan = step.plan.channels.get(name)
            chosen = range(len(mask)) if plan is None else plan.indices
            assert list(chosen) == list(np.flatnonzero(mask))


def test_bases_go_the_same_way():
    """Nothing in it knows the method: bases are masked, and prepared anew."""
    model = network()
    method, _ = masking([4, 1], "basis_weights")
    config = Iterations(most=1)
    result = prune_iteratively(model, method, data(model), config=config)
    (step,) = result.iterations
    assert len(step.plan.bases["a"].indices) == 4
    small = kbp.fold(result.model)
    assert small.count_params() < model.count_params()
    x, _ = data(model)
    assert not identical(outputs(model, [x]), outputs(small, [x]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0.0}, r"`keep` to be a number in \(0, 1\).*0.7"),
        ({"keep": 1.0}, r"`keep` to be a number in \(0, 1\)"),
        ({"least_removed": 1.0}, r"`least_removed` to be a number in \[0, 1\)"),
        ({"cost": "bytes"}, "`cost` to be 'params' or 'flops'"),
        ({"most": 0}, "`most` to be a positive integer"),
        ({"epochs": 0}, "`epochs` to be a positive integer"),
        ({"l1": -1.0}, "`l1` to be a number.*or start with 0.001"),
        ({"max_drop": 2}, "`max_drop` to be a number"),
        ({"baseline": "good"}, "`baseline` to be a number"),
        ({"seed": -1}, "`seed` to be an integer >= 0"),
    ],
)
def test_settings_that_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Iterations(**change)


def test_arguments_that_are_refused():
    model = network()
    pair, method = data(model), METHODS["channel_scaling"]
    with pytest.raises(ValueError, match="`Method` that trains.*compensated_channels"):
        prune_iteratively(model, METHODS["compensated_channels"], pair)
    with pytest.raises(ValueError, match="`Method` that trains.*'channel_scaling'"):
        prune_iteratively(model, "channel_scaling", pair)
    with pytest.raises(ValueError, match="`config` to be a .*Iterations"):
        prune_iteratively(model, method, pair, config={"most": 3})
    with pytest.raises(ValueError, match="`validation` when `config.max_drop`"):
        prune_iteratively(model, method, pair, config=Iterations(max_drop=0.1))
    with pytest.raises(ValueError, match="`train`"):
        prune_iteratively(model, method, (pair[0][:, :4], pair[1]))
    with pytest.raises(ValueError, match="`model` to be a built Functional"):
        prune_iteratively(None, method, pair)
