"""folded_weights: the smaller of two factors and their product."""

import math

import numpy as np
import pytest

from keras_basisprune.linalg import folded_weights


@pytest.mark.parametrize(
    ("rank", "n", "cout", "weights"),
    [
        (1, 9, 8, 17),
        (4, 9, 8, 68),
        (5, 9, 8, 72),  # 85 as factors
        (2, 4, 4, 16),  # the same either way
        (0, 9, 8, 0),
        (8, 9, 8, 72),
    ],
)
def test_by_hand(rank, n, cout, weights):
    assert folded_weights(rank, n, cout) == weights


def test_equals_the_smaller_form_of_real_matrices():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n, cout = (int(size) for size in rng.integers(1, 40, 2))
        rank = int(rng.integers(1, min(n, cout) + 1))
        factors = np.zeros((n, rank)), np.zeros((rank, cout))
        product = factors[0] @ factors[1]
        sizes = sum(factor.size for factor in factors), product.size
        assert folded_weights(rank, n, cout) == min(sizes)
        assert folded_weights(min(n, cout), n, cout) == math.prod(product.shape)
