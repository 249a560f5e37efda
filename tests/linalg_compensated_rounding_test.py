"""compensated_rounding against the plain algorithm and against all roundings."""

import itertools

import numpy as np
import pytest

from keras_basisprune.linalg import compensated_rounding


def drawn(size, outputs, seed, samples=400):
    """A covariance of correlated inputs, a matrix, and its scales at 4 bits."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, size)) @ rng.normal(size=(size, size))
    matrix = rng.normal(size=(size, outputs))
    return np.cov(x.T, bias=True), matrix, np.abs(matrix).max(0) / 7


def losses(numbers, scales, matrix, covariance):
    lack = numbers * scales - matrix
    return np.einsum("ij,ij->j", lack, covariance @ lack)


def nearest(matrix, scales, most=7):
    return np.clip(np.round(matrix / scales), -most, most)


def plain(matrix, covariance, scales, most):
    """One output: after each weight, least squares over all that are left."""
    damped = covariance + 0.1 * np.diag(covariance).mean() * np.eye(len(matrix))
    left, found = matrix.copy(), np.zeros(len(matrix))
    rest = list(np.argsort(-np.diag(covariance), kind="stable"))
    top = np.abs(matrix).argmax()
    while rest:
        i = rest.pop(0)
        found[i] = np.clip(np.floor(left[i] / scales + 0.5), -most, most)
        if i == top:
            found[i] = np.sign(matrix[i]) * most
        error = left[i] - found[i] * scales
        if rest:
            inside = damped[np.ix_(rest, rest)]
            left[rest] += np.linalg.solve(inside, damped[rest, i] * error)
    return found


@pytest.mark.parametrize(("size", "seed"), [(9, 0), (27, 1), (130, 2)])
def test_it_is_least_squares_after_each_weight(size, seed):
    covariance, matrix, scales = drawn(size, 5, seed)
    found = compensated_rounding(matrix, covariance, scales, 7)
    for column in range(5):
        given = matrix[:, column], covariance, scales[column], 7
        expected = plain(*given)[:, None]
        other = nearest(matrix[:, [column]], scales[column])
        chosen = min(
            (expected, other),
            key=lambda n, c=column: losses(n, scales[c], matrix[:, [c]], covariance)[0],
        )
        assert np.array_equal(found[:, [column]], chosen)


def test_it_is_close_to_the_best_of_all_roundings():
    sums = np.zeros(3)
    for seed in range(20):
        covariance, matrix, scales = drawn(4, 1, seed)
        found = compensated_rounding(matrix, covariance, scales, 7)
        down = np.floor(matrix / scales)
        trials = [
            np.clip(down + np.array(up)[:, None], -7, 7)
            for up in itertools.product((-1, 0, 1, 2), repeat=4)
        ]
        best, found, simple = (
            min(losses(t, scales, matrix, covariance)[0] for t in some)
            for some in (trials, [found], [nearest(matrix, scales)])
        )
        assert found <= simple + 1e-12
        sums += best, found, simple
    best, found, simple = sums
    assert found - best < 0.6 * (simple - best)


@pytest.mark.parametrize("most", [7, 127])
def test_numbers_and_losses(most):
    covariance, matrix, _ = drawn(72, 40, 3)
    scales = np.abs(matrix).max(0) / most
    found = compensated_rounding(matrix, covariance, scales, most)
    assert np.array_equal(found, np.round(found))
    assert np.array_equal(np.abs(found).max(0), np.full(40, most))  # keeps the scale
    after = losses(found, scales, matrix, covariance)
    before = losses(nearest(matrix, scales, most), scales, matrix, covariance)
    assert (after <= before).all()
    assert after.mean() < 0.5 * before.mean()


def test_without_correlations_it_is_the_nearest_number():
    _, matrix, scales = drawn(20, 7, 4)
    variances = np.random.default_rng(0).uniform(0.0, 2.0, 20)
    found = compensated_rounding(matrix, np.diag(variances), scales, 7)
    assert np.array_equal(found, nearest(matrix, scales))


def test_inputs_that_are_always_zero():
    matrix = np.array([[0.4], [7.0], [-2.6]])
    found = compensated_rounding(matrix, np.zeros((3, 3)), np.ones(1), 7)
    assert found.ravel().tolist() == [0.0, 7.0, -3.0]
    zeros = compensated_rounding(np.zeros((3, 2)), np.eye(3), np.full(2, 1e-12), 7)
    assert not zeros.any()
