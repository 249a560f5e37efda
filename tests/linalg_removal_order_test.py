"""removal_order against solving anew for every set of inputs."""

import numpy as np
import pytest

from keras_basisprune.linalg import removal_order


def loss(covariance, weights, kept):
    """What remains when the kept inputs make up for the others, solved anew."""
    gone = np.setdiff1d(np.arange(len(covariance)), kept)
    inside = covariance[np.ix_(gone, gone)]
    if len(kept):
        across = covariance[np.ix_(kept, gone)]
        inside = inside - across.T @ np.linalg.solve(
            covariance[np.ix_(kept, kept)], across
        )
    return np.trace(weights[gone].T @ inside @ weights[gone])


def drawn(count, outputs, seed, samples=200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, count)) @ rng.normal(size=(count, count))
    return np.cov(x.T, bias=True), rng.normal(size=(count, outputs))


@pytest.mark.parametrize("seed", range(5))
def test_each_step_is_the_cheapest_one(seed):
    covariance, weights = drawn(9, 4, seed)
    order, losses = removal_order(covariance, weights @ weights.T, 1e-10)
    kept = list(range(9))
    for index, expected in zip(order, losses, strict=True):
        trials = {
            i: loss(covariance, weights, [k for k in kept if k != i]) for i in kept
        }
        assert min(trials, key=trials.get) == index
        np.testing.assert_allclose(expected, trials[index], rtol=1e-5)
        kept.remove(index)


def test_many_inputs_leave_in_blocks_with_the_losses_of_their_order():
    covariance, weights = drawn(150, 20, 7, samples=1000)
    order, losses = removal_order(covariance, weights @ weights.T, 1e-10)
    assert sorted(order) == list(range(150))
    for step in (0, 31, 32, 100, 149):
        kept = np.setdiff1d(np.arange(150), order[: step + 1])
        np.testing.assert_allclose(
            losses[step], loss(covariance, weights, kept), rtol=1e-3
        )
    assert (np.diff(losses) >= 0).all()


def test_twins_do_not_leave_together():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 5))
    x[:, 4] = x[:, 3]  # either of them is free, both are not
    weights = np.ones((5, 2))
    order, losses = removal_order(np.cov(x.T), weights @ weights.T, 1e-9)
    assert order[0] in (3, 4)
    assert order[1] not in (3, 4)
    assert losses[0] < 1e-6 < losses[1]


def test_inputs_that_do_not_vary():
    order, losses = removal_order(np.zeros((3, 3)), np.eye(3), 0.01)
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(losses, [0.01, 0.02, 0.03])


@pytest.mark.parametrize(
    "units", [[0, 1, 2, 0, 1, 2, 0, 1, 2], [0, 1, 1, 2, 3, 2, 4, 4, 4]]
)
@pytest.mark.parametrize("seed", range(3))
def test_units_leave_together_and_the_cheapest_first(units, seed):
    covariance, weights = drawn(9, 4, seed)
    order, losses = removal_order(covariance, weights @ weights.T, 1e-10, units)
    kept = sorted(set(units))
    for unit, expected in zip(order, losses, strict=True):
        trials = {
            u: loss(
                covariance,
                weights,
                [i for i in range(9) if units[i] in kept and units[i] != u],
            )
            for u in kept
        }
        assert min(trials, key=trials.get) == unit
        np.testing.assert_allclose(expected, trials[unit], rtol=1e-5)
        kept.remove(unit)
    assert not kept


def test_units_of_one_are_inputs_by_themselves():
    covariance, weights = drawn(80, 5, 3, samples=400)
    gram = weights @ weights.T
    mixed = np.random.default_rng(0).permutation(80)
    order, losses = removal_order(covariance, gram, 0.01)
    same, again = removal_order(covariance, gram, 0.01, mixed)
    assert mixed[order].tolist() == same.tolist()
    np.testing.assert_allclose(losses, again)
