"""RidgeFolds against sums of squares over samples; variance_factors by hand."""

import dataclasses

import numpy as np
import pytest

from keras_basisprune.linalg import RidgeFolds, variance_factors
from keras_basisprune.linalg import _fold_error as module
from keras_basisprune.linalg._fold_error import FoldError, combined
from keras_basisprune.linalg._sums import without
from keras_basisprune.linalg.ridge_folds import _STRENGTHS
from keras_basisprune.linalg.ridge_update import ridge_update


def problem(seed, count=60, size=8, outputs=3, noise=1.0, mean=0.0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, size)) * np.linspace(2, 0.1, size) + mean
    errors = values @ rng.standard_normal((size, outputs)) * 0.3 + 1.5
    errors = errors + noise * rng.standard_normal(errors.shape)
    return values, errors, rng.integers(0, 5, count)


def filled(values, errors, folds, count=5, batches=3):
    found = RidgeFolds(values.shape[1], errors.shape[1], count)
    for part in np.array_split(np.arange(len(values)), batches):
        found.add(values[part], errors[part], folds[part])
    return found


def by_hand(values, errors, ridge, centered):
    """Correction and constant, from the samples themselves."""
    mean, miss = values.mean(0), errors.mean(0)
    if not centered:
        mean, miss = np.zeros_like(mean), np.zeros_like(miss)
    x, e = values - mean, errors - miss
    gram = x.T @ x / len(x)
    strength = ridge * np.trace(gram) / len(gram)
    update = np.linalg.solve(gram + strength * np.eye(len(gram)), x.T @ e / len(x))
    return update, miss - mean @ update


def left_over(values, errors, folds, ridge, centered, of=range(5)):
    """The squared error on each fold that the others leave."""
    total = 0.0
    for fold in of:
        rest = folds != fold
        update, shift = by_hand(values[rest], errors[rest], ridge, centered)
        left = errors[~rest] - values[~rest] @ update - shift
        total += (left**2).sum()
    return total


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("ridge", [1e-6, 0.3])
def test_a_given_strength_is_plain_ridge_regression(centered, ridge):
    values, errors, folds = problem(0)
    found = filled(values, errors, folds).update(ridge, centered)
    update, shift = by_hand(values, errors, ridge, centered)
    np.testing.assert_allclose(found[0], update, atol=1e-10)
    np.testing.assert_allclose(found[1], shift, atol=1e-10)
    assert found[2] == ridge


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_strength_is_best_for_folds_that_were_left_out(seed, noise, centered):
    values, errors, folds = problem(seed, noise=noise)
    update, shift, ridge = filled(values, errors, folds).update(centered=centered)
    wanted, constant = by_hand(values, errors, ridge, centered)
    np.testing.assert_allclose(update, wanted, atol=1e-9)
    np.testing.assert_allclose(shift, constant, atol=1e-9)
    place = _STRENGTHS.index(ridge)
    near = _STRENGTHS[max(0, place - 1) : place + 2]
    lost = {r: left_over(values, errors, folds, r, centered) for r in near}
    assert lost[ridge] <= min(lost.values()) * (1 + 1e-9)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("outputs", [1, 3, 30])
@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_errors_of_all_strengths(outputs, mean, centered):
    values, errors, folds = problem(3, outputs=outputs, mean=mean)
    rest, left = folds != 1, folds == 1
    for ridge in _STRENGTHS:
        update, shift = by_hand(values[rest], errors[rest], ridge, centered)
        expected = ((errors[left] - values[left] @ update - shift) ** 2).sum()
        together = filled(values, errors, folds)
        together.together()
        part = together._parts[1]
        split = FoldError(without(together.together(), part), part, centered)
        np.testing.assert_allclose(split.error(ridge), expected, rtol=1e-9)


@pytest.mark.parametrize("centered", [True, False])
def test_many_outputs_are_combined_to_fewer_with_the_same_errors(centered):
    values, errors, folds = problem(6, count=400, size=30, outputs=500, mean=1.0)
    found = filled(values, errors, folds)
    together = found.together()
    both = combined([together, found._parts[2]])
    assert [one.cross.shape for one in both] == [(30, 64)] * 2
    few, many = (
        FoldError(without(whole, part), part, centered)
        for whole, part in (both, (together, found._parts[2]))
    )
    base = few.error(0.01), many.error(0.01)
    for ridge in _STRENGTHS:
        ratio = few.error(ridge) / many.error(ridge)
        np.testing.assert_allclose(ratio, base[0] / base[1], rtol=0.02)
        np.testing.assert_allclose(ratio, 1, rtol=0.02)
    same = combined([dataclasses.replace(together, error=together.error[:64])])
    assert same[0].cross is together.cross  # so few stay as they are


@pytest.mark.parametrize("ridge", [1e-4, 0.01, 3.0])
def test_errors_in_float32_are_nearly_the_same(monkeypatch, ridge):
    values, errors, folds = problem(7, count=300, size=40, outputs=5, mean=3.0)
    found = filled(values, errors, folds)
    rest, left = without(found.together(), found._parts[0]), found._parts[0]
    wide = FoldError(rest, left, True).error(ridge)
    monkeypatch.setattr(module, "_WIDE", 40)
    narrow = FoldError(rest, left, True)
    assert narrow.error(ridge) == pytest.approx(wide, rel=1e-5)
    assert (narrow.error(ridge) != wide) == (ridge >= 0.01)


def test_samples_in_float32_give_nearly_the_same():
    values, errors, folds = problem(4, count=3000, size=20, outputs=30, mean=5.0)
    wide = filled(values, errors, folds).update()
    narrow = filled(values.astype("float32"), errors.astype("float32"), folds).update()
    assert wide[2] == narrow[2]
    for one, other in zip(wide[:2], narrow[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_more_samples_are_not_forgotten_after_a_first_answer():
    values, errors, folds = problem(5)
    found = filled(values[:30], errors[:30], folds[:30])
    found.update()
    found.add(values[30:], errors[30:], folds[30:])
    whole = filled(values, errors, folds)
    for one, other in zip(found.update(), whole.update(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_much_noise_changes_little_and_none_changes_all():
    values, errors, folds = problem(1, noise=100.0)
    assert filled(values, errors, folds).update()[2] >= 3.0
    values, errors, folds = problem(1, noise=0.0)
    assert filled(values, errors, folds).update()[2] == _STRENGTHS[0]


def test_means_far_from_zero_cost_no_digits():
    near, far = (problem(2, mean=mean) for mean in (0.0, 1e6))
    (one, _, first), (other, _, second) = (filled(*p).update() for p in (near, far))
    # The errors of `problem` move with the mean, by a constant.
    np.testing.assert_allclose(other, one, atol=1e-6)
    assert first == second


def test_batches_do_not_matter():
    given = problem(3)
    one, other = (filled(*given, batches=n).update() for n in (1, 7))
    np.testing.assert_allclose(one[0], other[0], atol=1e-12)
    assert one[2] == other[2]


def test_with_one_fold_nothing_can_be_left_out():
    values, errors, folds = problem(4)
    assert filled(values, errors, 0 * folds).update()[2] == 0.01
    assert filled(values, errors, 0 * folds, count=1).update()[2] == 0.01


def test_of_many_inputs_only_the_first_fold_is_left_out():
    values, errors, folds = problem(5, count=200, size=256, outputs=2)
    found = filled(values, errors, folds)
    ridge = found.update()[2]
    place = _STRENGTHS.index(ridge)
    near = _STRENGTHS[max(0, place - 1) : place + 2]
    lost = {r: left_over(values, errors, folds, r, True, of=[0]) for r in near}
    assert lost[ridge] == min(lost.values())


def test_moments_of_all_folds_together():
    values, errors, folds = problem(6, mean=3.0)
    sums = filled(values, errors, folds).together()
    np.testing.assert_allclose(sums.mean, values.mean(0))
    np.testing.assert_allclose(sums.covariance, np.cov(values.T, bias=True))
    np.testing.assert_allclose(sums.error, errors.mean(0))
    np.testing.assert_allclose(sums.variance, errors.var(0))
    matrix = np.random.default_rng(0).standard_normal((8, 3))
    wanted = (values @ matrix + errors).var(0)
    products = sums.covariance @ matrix
    np.testing.assert_allclose(sums.target_variance(matrix, products), wanted)


@pytest.mark.parametrize("ridge", [1e-4, 0.03, 10.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_products_with_a_corrected_map(seed, ridge):
    found = filled(*problem(seed, mean=2.0))
    update, sums = found.update(ridge)[0], found.together()
    matrix = np.random.default_rng(seed).standard_normal((8, 3))
    products = sums.corrected_products(sums.covariance @ matrix, update, ridge)
    wanted = sums.covariance @ (matrix + update)
    np.testing.assert_allclose(products, wanted, atol=1e-12)


def test_what_is_not_finite_is_named():
    values, errors, folds = problem(7)
    errors[3, 1] = np.inf
    with pytest.raises(ValueError, match="NaN or infinity in `conv`"):
        filled(values, errors, folds).check("conv")


def test_factors_by_hand():
    matrix = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    covariance = np.array([[4.0, 0.0], [0.0, 9.0]])  # variances 4, 16, 0, 4
    wanted = np.array([5.76, 4.0, 7.0, 400.0])
    found = variance_factors(matrix, covariance @ matrix, wanted)
    np.testing.assert_allclose(found, [1.2, 1.0, 1.0, 1.5])


@pytest.mark.parametrize("size", [8, 300])
def test_closed_folds_answer_the_same(size):
    """Of many inputs two folds are held, of few all; the answers stay."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, size)) + 2
    errors = values[:, :3] * 0.5 + rng.normal(size=(400, 3))
    numbers = np.arange(400) % 5
    one, other = (filled(values, errors, numbers) for _ in range(2))
    other.close()
    wanted, found = one.update(), other.update()
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.together().cross, other.together().cross)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_covariance_that_rounding_has_made_indefinite(dtype):
    """No square root of it exists, but a solution does."""
    near = np.array([[1.0, 1.001], [1.001, 1.0]], dtype)
    given, wanted = np.array([[1.0], [2.0]], dtype), near + 1e-6 * np.eye(2)
    found = ridge_update(near, given, 1e-6)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.linalg.solve(wanted, given), rtol=1e-3)
    assert near[0, 0] == 1.0  # what was given is as it was
