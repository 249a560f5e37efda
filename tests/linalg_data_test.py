import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_basisprune.linalg import Moments, ridge_update

SEEDED = settings(derandomize=True, deadline=None, max_examples=60)
SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 2**32 - 1)


def gathered(values, others=None, cuts=()):
    """The `Moments` of samples that come in batches, divided at `cuts`."""
    moments = Moments(values.shape[1], 0 if others is None else others.shape[1])
    for rows in np.split(np.arange(len(values)), sorted(cuts)):
        moments.add(values[rows], None if others is None else others[rows])
    return moments


def numpy_covariance(values, others=None):
    whole = values if others is None else np.hstack([values, others])
    return np.atleast_2d(np.cov(whole, rowvar=False, bias=True))


def low_rank_inputs(rng, samples, size, rank):
    """Samples that vary in `rank` directions, around a mean that is not zero."""
    mixed = rng.standard_normal((samples, rank)) @ rng.standard_normal((rank, size))
    return mixed + rng.standard_normal(size)


@SEEDED
@given(SIZES, SIZES, st.lists(st.integers(0, 40), max_size=5), SEEDS)
def test_moments_equal_numpy(size, others, cuts, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((40, size)) + rng.standard_normal(size)
    beside = rng.standard_normal((40, others)) + values[:, :1]
    moments = gathered(values, beside, cuts)
    whole = numpy_covariance(values, beside)
    assert moments.count == 40
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(moments.other_mean, beside.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(moments.covariance, whole[:size, :size], atol=1e-13)
    np.testing.assert_allclose(
        moments.cross_covariance, whole[:size, size:], atol=1e-13
    )


@pytest.mark.parametrize("cuts", [(), (1,), (7, 7), (50, 99), range(1, 100)])
def test_moments_do_not_depend_on_batches(cuts):
    rng = np.random.default_rng(1)
    values, others = rng.standard_normal((100, 5)), rng.standard_normal((100, 3))
    one, other = gathered(values, others), gathered(values, others, cuts)
    assert other.count == 100
    for name in ("mean", "other_mean", "covariance", "cross_covariance"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=0, atol=1e-14
        )


def test_moments_of_whole_numbers_are_exact():
    values = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 4.0], [7.0, 8.0]])
    moments = gathered(values, values[:, :1] * 2, (1,))
    np.testing.assert_array_equal(moments.mean, [4.0, 5.0])
    np.testing.assert_array_equal(moments.other_mean, [8.0])
    np.testing.assert_array_equal(moments.covariance, [[5.0, 4.0], [4.0, 5.0]])
    np.testing.assert_array_equal(moments.cross_covariance, [[10.0], [8.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_of_a_large_offset(dtype):
    rng = np.random.default_rng(2)
    mixed = rng.standard_normal((5000, 4)) @ rng.standard_normal((4, 4))
    values = (mixed + 1e4).astype(dtype)
    others = (rng.standard_normal((5000, 2)) + mixed[:, :2] - 1e4).astype(dtype)
    moments = gathered(values, others, range(500, 5000, 500))
    whole = numpy_covariance(values.astype("float64"), others.astype("float64"))
    size = np.abs(whole).max()
    np.testing.assert_allclose(
        moments.covariance, whole[:4, :4], rtol=0, atol=1e-6 * size
    )
    np.testing.assert_allclose(
        moments.cross_covariance, whole[:4, 4:], rtol=0, atol=1e-6 * size
    )


def test_float16_is_summed_in_float64():
    values = np.full((70_000, 1), 2.0, "float16")  # sums overflow float16
    moments = gathered(values, values)
    assert (moments.mean[0], moments.other_mean[0]) == (2.0, 2.0)
    assert (moments.covariance[0, 0], moments.cross_covariance[0, 0]) == (0.0, 0.0)


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1.0, 1e15, 1e25])
def test_float32_of_any_size(scale):
    """Squares of such numbers are none in float32."""
    rng = np.random.default_rng(4)
    values = (rng.standard_normal((9000, 3)) * scale + scale).astype("float32")
    others = (rng.standard_normal((9000, 2)) + values[:, :2] / scale).astype("float32")
    moments = gathered(values, others, (100, 5000))
    wide = values.astype("float64") / scale, others.astype("float64")
    whole = numpy_covariance(*wide)
    near = {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(moments.covariance / scale**2, whole[:3, :3], **near)
    np.testing.assert_allclose(moments.cross_covariance / scale, whole[:3, 3:], **near)
    np.testing.assert_allclose(moments.mean / scale, wide[0].mean(axis=0), **near)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["values", "others"])
def test_check_names_the_layer(bad, where):
    rng = np.random.default_rng(3)
    given = {"values": rng.random((6, 3)), "others": rng.random((6, 2))}
    moments = gathered(given["values"], given["others"])
    assert moments.check("block1_conv2") is None
    given[where][4, 1] = bad
    moments.add(**given)
    with pytest.raises(ValueError, match="NaN or infinity in `block1_conv2`"):
        moments.check("block1_conv2")


@SEEDED
@given(SIZES, SIZES, st.sampled_from([1e-6, 1e-2, 1.0, 10.0]), SEEDS)
def test_ridge_update_solves_the_least_squares(n, cout, ridge, seed):
    """Rows `sqrt(samples ridge mean(diag C)) I` below the inputs are the ridge."""
    rng = np.random.default_rng(seed)
    inputs = low_rank_inputs(rng, 30, n, max(1, n // 2))
    lack = rng.standard_normal((30, cout))
    moments = gathered(inputs, lack)
    found = ridge_update(moments.covariance, moments.cross_covariance, ridge)
    strength = ridge * np.var(inputs, axis=0).mean()
    rows = np.vstack([inputs - inputs.mean(axis=0), np.sqrt(30 * strength) * np.eye(n)])
    lacks = np.vstack([lack - lack.mean(axis=0), np.zeros((n, cout))])
    expected = np.linalg.lstsq(rows, lacks, rcond=None)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    left = moments.covariance @ found + strength * found
    np.testing.assert_allclose(left, moments.cross_covariance, atol=1e-10)


@pytest.mark.parametrize("covariance", [np.zeros((3, 3)), np.eye(3)])
def test_ridge_update_of_nothing_is_zero(covariance):
    """Inputs that do not vary, or nothing that their outputs lack."""
    found = ridge_update(covariance, np.zeros((3, 2)), 0.01)
    np.testing.assert_array_equal(found, np.zeros((3, 2)))
    assert found.dtype == np.float64


def test_ridge_leaves_alone_what_does_not_vary():
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((50, 4)) * [1.0, 1.0, 0.0, 1.0]
    moments = gathered(inputs, rng.standard_normal((50, 3)))
    found = ridge_update(moments.covariance, moments.cross_covariance, 0.01)
    np.testing.assert_array_equal(found[2], np.zeros(3))
    assert np.all(np.abs(found[[0, 1, 3]]) > 1e-4)


def test_a_stronger_ridge_draws_closer_to_zero():
    rng = np.random.default_rng(5)
    moments = gathered(rng.standard_normal((60, 8)), rng.standard_normal((60, 5)))
    covariance, cross = moments.covariance, moments.cross_covariance
    ridges = np.logspace(-9, 9, 19)
    norms = [np.linalg.norm(ridge_update(covariance, cross, r)) for r in ridges]
    assert np.all(np.diff(norms) < 0)
    unridged = np.linalg.norm(np.linalg.solve(covariance, cross))
    assert norms[0] == pytest.approx(unridged, rel=1e-7)
    assert norms[-1] < 1e-8 * norms[0]
