"""descending: sorted, but for rounding errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_basisprune.linalg import descending

numbers = st.lists(st.floats(0, 1e3, allow_nan=False), min_size=1, max_size=12)


@given(numbers)
def test_the_values_descend_up_to_the_tolerance(values):
    values = np.array(values)
    order = descending(values, 1e-6)
    assert sorted(order) == list(range(len(values)))
    found = values[order]
    assert (found <= np.minimum.accumulate(found) * (1 + 1e-6)).all()


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([3, 1, 1 + 1e-7, 0.5], [0, 1, 2, 3]),  # rounding
        ([3, 1, 1 + 1e-5, 0.5], [0, 2, 1, 3]),  # more than that
        ([1, 1 + 1e-7, 1 + 2e-7, 2], [3, 2, 1, 0]),  # not all in place: by size
        ([0, 0, 2, 2, -1], [2, 3, 0, 1, 4]),  # equal ones in turn
        ([np.inf, 2, 0, -1, -1], [0, 1, 2, 3, 4]),
    ],
)
def test_by_hand(values, order):
    assert descending(values, 1e-6).tolist() == order
