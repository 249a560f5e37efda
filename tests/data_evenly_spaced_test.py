"""A few of many samples."""

import numpy as np

from keras_basisprune.data.evenly_spaced import evenly_spaced


def test_from_the_first_on_in_equal_steps():
    assert evenly_spaced(np.arange(1000), 4).tolist() == [0, 250, 500, 750]
    found = evenly_spaced(np.arange(500))
    assert len(found) == 320 and set(np.diff(found)) == {1, 2}


def test_few_samples_are_all_there_in_the_same_structure():
    given = {"a": np.arange(5), "b": np.ones((5, 1))}
    found = evenly_spaced(given)
    assert found["a"].tolist() == given["a"].tolist()
    assert found["b"].shape == (5, 1)
