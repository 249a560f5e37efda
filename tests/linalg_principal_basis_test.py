import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_basisprune.linalg import LowRank, principal_basis

SEEDED = settings(derandomize=True, deadline=None, max_examples=60)
SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 2**32 - 1)


def covariance_of(values):
    return np.atleast_2d(np.cov(values, rowvar=False, bias=True))


def low_rank_inputs(rng, samples, size, rank):
    """Samples that vary in `rank` directions, around a mean that is not zero."""
    mixed = rng.standard_normal((samples, rank)) @ rng.standard_normal((rank, size))
    return mixed + rng.standard_normal(size)


def of_data(inputs, matrix, target=None, **arguments):
    """`principal_basis` of a map by its outputs on `inputs`; and these outputs."""
    outputs = inputs @ matrix
    mean = outputs.mean(axis=0)
    target = mean if target is None else target
    covariance = covariance_of(outputs)
    return principal_basis(matrix, covariance, mean, target, **arguments), outputs


def applied(low, inputs):
    """What the map does, in its two steps."""
    return (inputs @ low.filters - low.mean) @ low.kernel + low.bias


@SEEDED
@given(SIZES, SIZES, st.integers(1, 12), st.integers(1, 12), SEEDS)
def test_full_rank_is_the_same_map_for_all_inputs(n, cout, rank, varying, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, cout))
    low, _ = of_data(low_rank_inputs(rng, 30, n, varying), matrix)
    r = min(n, cout)
    assert (low.filters.shape, low.kernel.shape) == ((n, r), (r, cout))
    assert {x.dtype for x in (low.filters, low.kernel, low.mean)} == {np.dtype(float)}
    anew = 10 * rng.standard_normal((20, n))  # nothing like the data
    size = np.abs(matrix).max() * np.abs(anew).max() * n
    np.testing.assert_allclose(applied(low, anew), anew @ matrix, atol=1e-8 * size)
    kernel, bias = low.merged()
    np.testing.assert_allclose(kernel, matrix, atol=1e-8 * size)
    np.testing.assert_allclose(bias, np.zeros(cout), atol=1e-8 * size)


@SEEDED
@given(SIZES, SIZES, SEEDS)
def test_singular_values_are_standard_deviations(n, cout, seed):
    rng = np.random.default_rng(seed)
    low, outputs = of_data(
        low_rank_inputs(rng, 50, n, n), rng.standard_normal((n, cout))
    )
    eigenvalues = np.linalg.eigvalsh(covariance_of(outputs))[::-1][: min(n, cout)]
    deviations = np.sqrt(np.maximum(eigenvalues, 0.0))
    expected = np.maximum(deviations, 1e-6 * deviations[0])
    np.testing.assert_allclose(
        low.singular_values, expected, rtol=0, atol=1e-7 * deviations[0]
    )
    assert np.all(np.diff(low.singular_values) <= 1e-12 * deviations[0])
    np.testing.assert_allclose(
        (low.kernel / low.singular_values[:, None]) @ low.kernel.T,
        np.diag(low.singular_values),
        atol=1e-9 * deviations[0],
    )


@pytest.mark.parametrize(("n", "cout"), [(12, 7), (7, 12), (9, 9), (1, 4), (4, 1)])
def test_a_cut_is_optimal_and_keeps_the_mean(n, cout):
    rng = np.random.default_rng(6)
    inputs = low_rank_inputs(rng, 80, n, n)
    target = rng.standard_normal(cout)
    low, outputs = of_data(inputs, rng.standard_normal((n, cout)), target)
    wanted = outputs - outputs.mean(axis=0) + target
    total = np.trace(covariance_of(outputs))
    _, s, _ = np.linalg.svd(outputs - outputs.mean(axis=0), full_matrices=False)
    for rank in range(1, min(n, cout) + 1):
        made = applied(low.cut(rank), inputs)
        error = np.sum((made - wanted) ** 2) / len(inputs)
        # Eckart and Young: no map of this rank is better.
        assert error == pytest.approx(np.sum(s[rank:] ** 2) / 80, abs=1e-10 * total)
        np.testing.assert_allclose(made.mean(axis=0), target, atol=1e-10)
        features = inputs @ low.filters[:, :rank] - low.mean[:rank]
        np.testing.assert_allclose(features.var(axis=0), np.ones(rank), rtol=1e-7)


@pytest.mark.parametrize("floor", [1e-6, 1e-3, 0.5])
def test_floor_bounds_the_filters(floor):
    matrix = np.eye(3)
    low = principal_basis(
        matrix, np.diag([4.0, 1e-20, 0.0]), np.zeros(3), np.zeros(3), floor
    )
    expected = np.maximum([2.0, 1e-10, 0.0], 2.0 * floor)
    np.testing.assert_allclose(low.singular_values, expected, rtol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(low.filters, axis=0), 1 / expected, rtol=1e-12
    )
    np.testing.assert_allclose(low.filters @ low.kernel, matrix, atol=1e-12)


@pytest.mark.parametrize("size", [0.0, 1e-3, 5.0])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_constant_outputs(size, shape):
    matrix = size * np.random.default_rng(7).standard_normal(shape)
    zeros = np.zeros((shape[1], shape[1]))
    through, target = np.ones(shape[0]) @ matrix, np.arange(1.0, shape[1] + 1)
    low = principal_basis(matrix, zeros, through, target)
    assert all(np.isfinite(x).all() for x in (low.filters, low.kernel, low.mean))
    np.testing.assert_allclose(low.filters @ low.kernel, matrix, atol=1e-9 * size)
    expected = 1e-6 * (np.abs(matrix).max() or 1.0)
    np.testing.assert_allclose(low.singular_values, [expected] * 3, rtol=1e-9)
    for rank in (1, 2, 3):
        made = applied(low.cut(rank), np.ones((2, shape[0])))
        np.testing.assert_allclose(made, [target, target], atol=1e-9)


def test_low_rank_by_hand():
    low = LowRank(
        filters=np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]),
        kernel=np.array([[3.0, 4.0], [0.0, 1.0]], "float32"),
        mean=np.array([1.0, 2.0]),
        bias=np.array([10.0, 20.0]),
    )
    np.testing.assert_array_equal(low.singular_values, [5.0, 1.0])
    assert low.singular_values.dtype == np.float64
    kernel, bias = low.merged()
    np.testing.assert_array_equal(kernel, [[3, 4], [0, 2], [3, 5]])
    np.testing.assert_array_equal(bias, [7.0, 14.0])
    kernel, bias = low.cut(1).merged()
    np.testing.assert_array_equal(kernel, [[3, 4], [0, 0], [3, 4]])
    np.testing.assert_array_equal(bias, [7.0, 16.0])
    np.testing.assert_array_equal(low.cut(1).mean, [1.0])


def test_low_rank_without_mean_and_bias():
    low = LowRank(np.eye(2), np.array([[2.0, 0.0], [0.0, 1.0]]))
    assert (low.cut(1).mean, low.cut(1).bias) == (None, None)
    np.testing.assert_array_equal(low.cut(1).merged()[0], [[2, 0], [0, 0]])
    np.testing.assert_array_equal(low.merged()[1], np.zeros(2))
    centred = LowRank(low.filters, low.kernel, mean=np.array([1.0, 5.0]))
    np.testing.assert_array_equal(centred.merged()[1], [-2.0, -5.0])
