"""Deviations along principal components, against those of the whole basis."""

import numpy as np
import pytest

from keras_basisprune.linalg import principal_basis, principal_deviations


@pytest.mark.parametrize(("n", "cout"), [(6, 6), (4, 9), (12, 5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_they_are_the_singular_values_of_the_basis(n, cout, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n, cout))
    outputs = (rng.standard_normal((50, n)) * np.linspace(3, 0.1, n)) @ matrix
    covariance, zero = np.cov(outputs.T, bias=True), np.zeros(cout)
    wanted = principal_basis(matrix, covariance, zero, zero).singular_values
    found = principal_deviations(covariance, min(n, cout))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_small_ones_are_raised_and_nothing_is_lost_where_nothing_varies():
    found = principal_deviations(np.diag([4.0, 1e-20, 0.0]), 3, floor=1e-3)
    np.testing.assert_allclose(found, [2.0, 2e-3, 2e-3])
    assert np.ptp(principal_deviations(np.zeros((3, 3)), 2)) == 0
    assert principal_deviations(np.zeros((3, 3)), 2).min() > 0
