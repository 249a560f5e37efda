import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_basisprune.linalg import kept_energy, rank_for_energy, svd_basis

SEEDED = settings(derandomize=True, deadline=None, max_examples=60)


def check(matrix, atol=1e-6, rtol=1e-6):
    """Holds all that `svd_basis` promises, in float64, against `numpy.linalg.svd`."""
    basis = svd_basis(matrix)
    rows, columns = matrix.shape
    r = min(rows, columns)
    assert basis.u.shape == (rows, r)
    assert basis.s.shape == (r,)
    assert basis.vt.shape == (r, columns)
    dtype = np.float64 if matrix.dtype == np.float64 else np.float32
    assert {part.dtype for part in basis} == {np.dtype(dtype)}
    # A common factor out of the way, so that squares neither overflow nor vanish.
    size = float(np.max(np.abs(matrix))) or 1.0
    exact = matrix.astype(np.float64) / size
    u, s, vt = (part.astype(np.float64) for part in basis)
    s = s / size
    norm = np.linalg.norm(exact)
    assert np.max(np.abs(u.T @ u - np.eye(r))) <= atol
    assert np.max(np.abs(vt @ vt.T - np.eye(r))) <= atol
    assert np.linalg.norm((u * s) @ vt - exact) <= rtol * norm
    assert np.all(s >= 0.0)
    assert np.all(np.diff(s) <= 0.0)
    expected = np.linalg.svd(exact, compute_uv=False)
    np.testing.assert_allclose(s, expected, rtol=0, atol=rtol * norm)
    return basis


def orthonormal(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def with_spectrum(rng, rows, columns, spectrum):
    r = min(rows, columns)
    return (orthonormal(rng, rows, r) * spectrum) @ orthonormal(rng, columns, r).T


def test_diagonal_by_hand():
    u, s, vt = svd_basis(np.array([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(s, [4.0, 3.0], rtol=1e-15)
    np.testing.assert_allclose(np.abs(u), [[0, 1], [1, 0], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(np.abs(vt), [[0, 1], [1, 0]], atol=1e-15)
    np.testing.assert_allclose((u * s) @ vt, [[3, 0], [0, -4], [0, 0]], atol=1e-15)


def test_same_subspaces_as_numpy():
    matrix = with_spectrum(np.random.default_rng(1), 60, 20, 2.0 ** -np.arange(20.0))
    ours, theirs = svd_basis(matrix), np.linalg.svd(matrix, full_matrices=False)
    for i in range(12):  # distinct singular values: vectors are unique but for a sign
        assert abs(ours.u[:, i] @ theirs.U[:, i]) == pytest.approx(1.0, abs=1e-9)
        assert abs(ours.vt[i] @ theirs.Vh[i]) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "shape", [(1152, 128), (128, 1152), (96, 96), (1, 9), (9, 1), (1, 1), (2, 2)]
)
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_and_scales(shape, scale, dtype):
    rng = np.random.default_rng(2)
    check((rng.standard_normal(shape) * scale).astype(dtype))


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200])
def test_squares_beyond_float64(scale):
    check(np.random.default_rng(3).standard_normal((30, 10)) * scale)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 5), (1, 3), (3, 1)])
def test_zeros(shape):
    _, s, _ = check(np.zeros(shape, "float32"))
    assert not s.any()


@pytest.mark.parametrize("shape", [(300, 80), (80, 300), (80, 80)])
@pytest.mark.parametrize("rank", [1, 7, 79])
def test_rank_deficient(shape, rank):
    rng = np.random.default_rng(4)
    left = rng.standard_normal((shape[0], rank))
    matrix = left @ rng.standard_normal((rank, shape[1]))
    _, s, _ = check(matrix, atol=1e-10, rtol=1e-12)
    assert np.all(s[rank:] <= 1e-13 * s[0])


def test_equal_columns_and_dead_columns():
    check(np.ones((50, 20), "float32"))
    dead = np.random.default_rng(5).standard_normal((90, 40)) * (np.arange(40) % 2)
    check(dead.astype("float32"))
    check(dead.T)


@pytest.mark.parametrize("shape", [(200, 60), (60, 200), (60, 60)])
@pytest.mark.parametrize("decades", [2, 4, 5, 8, 12, 16, 40])
def test_spectra_that_the_gram_matrix_blurs(shape, decades):
    matrix = with_spectrum(
        np.random.default_rng(6), *shape, np.logspace(0, -decades, 60)
    )
    check(matrix, atol=1e-7, rtol=1e-10)
    check(matrix.astype("float32"))


def test_spectrum_of_one_step():
    """All small values are alike: the repair gets many columns of one size."""
    spectrum = np.where(np.arange(60) < 20, 1.0, 3e-5)
    matrix = with_spectrum(np.random.default_rng(7), 200, 60, spectrum)
    basis = check(matrix, atol=1e-7, rtol=1e-10)
    np.testing.assert_allclose(basis.s, spectrum, rtol=1e-8)


@pytest.mark.parametrize("axis", [0, 1])
def test_badly_scaled_rows_and_columns(axis):
    rng = np.random.default_rng(8)
    matrix = rng.standard_normal((70, 30))
    factors = np.logspace(-20, 20, matrix.shape[axis])
    matrix *= np.expand_dims(factors, 1 - axis)
    check(matrix, atol=1e-7, rtol=1e-10)
    check(matrix.astype("float32"))


@SEEDED
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    rank=st.integers(0, 40),
    decades=st.floats(0.0, 20.0),
    exponent=st.integers(-20, 20),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_random_matrices(rows, columns, rank, decades, exponent, dtype, seed):
    r = min(rows, columns)
    spectrum = np.logspace(0, -decades, r) * (np.arange(r) < rank)
    matrix = with_spectrum(np.random.default_rng(seed), rows, columns, spectrum)
    check((matrix * 10.0**exponent).astype(dtype))


@pytest.mark.parametrize("dtype", ["float16", "int32", "bool"])
def test_other_dtypes_become_float32(dtype):
    matrix = np.random.default_rng(9).integers(0, 2, (12, 5)).astype(dtype)
    assert check(matrix.astype("float32")).u.dtype == np.float32
    np.testing.assert_array_equal(
        svd_basis(matrix).s, svd_basis(matrix.astype("float32")).s
    )


def test_the_matrix_is_not_changed():
    matrix = np.random.default_rng(10).standard_normal((8, 3))
    before = matrix.copy()
    basis = svd_basis(matrix)
    np.testing.assert_array_equal(matrix, before)
    assert all(part.flags.c_contiguous and part.flags.owndata for part in basis)


def test_same_result_twice():
    matrix = np.random.default_rng(11).standard_normal((40, 12)).astype("float32")
    for one, other in zip(svd_basis(matrix), svd_basis(matrix), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(bad):
    matrix = np.zeros((4, 3), "float32")
    matrix[1, 2] = bad
    with pytest.raises(ValueError, match=r"`matrix`.*shape=\(4, 3\) with 1 entries"):
        svd_basis(matrix)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3), (3, 0), ()])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="`matrix` to be a non-empty array of 2"):
        svd_basis(np.zeros(shape))


@pytest.mark.parametrize("dtype", ["complex64", "object", "U3"])
def test_refuses_other_dtypes(dtype):
    with pytest.raises(ValueError, match="`matrix` to hold real numbers"):
        svd_basis(np.zeros((3, 2)).astype(dtype))


@pytest.mark.parametrize(
    ("values", "energy", "rank"),
    [
        ([3.0, 1.0], 0.9, 1),  # 9 of 10, exactly
        ([3.0, 1.0], 0.91, 2),
        ([2.0, 2.0, 2.0, 2.0], 0.75, 3),
        ([2.0, 2.0, 2.0, 2.0], 1.0, 4),
        ([1.0, 0.0, 0.0], 1.0, 1),
        ([0.0, 0.0], 0.5, 1),
        ([5.0], 1e-9, 1),
        ([3e-200, 1e-200], 0.9, 1),
        ([3e200, 1e200], 0.91, 2),
    ],
)
def test_rank_for_energy_by_hand(values, energy, rank):
    found = rank_for_energy(np.array(values), energy)
    assert (found, type(found)) == (rank, int)


def test_kept_energy_by_hand():
    assert kept_energy([3.0, 1.0], 0) == 0.0
    assert kept_energy([3.0, 1.0], 1) == pytest.approx(0.9, abs=1e-15)
    assert kept_energy([3.0, 1.0], 2) == 1.0
    assert kept_energy(np.zeros(3, "float32"), 1) == 1.0
    assert type(kept_energy([3.0, 1.0], 1)) is float


@SEEDED
@given(
    values=st.lists(st.floats(0.0, 1e6, width=32), min_size=1, max_size=30),
    energy=st.floats(0.0, 1.0, exclude_min=True),
)
def test_rank_is_the_smallest_that_keeps_the_energy(values, energy):
    values = np.sort(np.array(values))[::-1]
    rank = rank_for_energy(values, energy)
    assert 1 <= rank <= len(values)
    assert kept_energy(values, rank) >= energy * (1.0 - 1e-14)
    if rank > 1:
        assert kept_energy(values, rank - 1) < energy


@pytest.mark.parametrize("energy", [0.0, -0.1, 1.1, float("nan")])
def test_rank_for_energy_refuses(energy):
    with pytest.raises(ValueError, match=r"`energy` to be a float in \(0, 1\]"):
        rank_for_energy([1.0], energy)


@pytest.mark.parametrize("rank", [-1, 3])
def test_kept_energy_refuses(rank):
    with pytest.raises(ValueError, match=r"`rank` to be an int in \[0, 2\]"):
        kept_energy([2.0, 1.0], rank)


@pytest.mark.parametrize("values", [[], [[1.0]], [np.nan, 1.0], [1.0, -1.0]])
def test_energy_refuses_singular_values(values):
    with pytest.raises(ValueError, match="`singular_values`"):
        kept_energy(values, 1)
