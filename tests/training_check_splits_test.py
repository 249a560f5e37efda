"""Holds that all who train under a budget refuse the same data, and alike."""

import numpy as np
import pytest
from small_channels import images, small

import keras_basisprune as kbp
from keras_basisprune.methods import METHODS, Iterations, prune_iteratively
from keras_basisprune.training.check_splits import check_splits

TRAINED = {
    "sparsify": lambda model, train, validation: kbp.sparsify(
        kbp.convert(model), train, validation, config=kbp.Recipe(max_drop=0.1)
    ),
    "prune_iteratively": lambda model, train, validation: prune_iteratively(
        model,
        METHODS["channel_scaling"],
        train,
        validation,
        config=Iterations(max_drop=0.1),
    ),
    "check_splits": lambda model, train, validation: check_splits(
        model, train, validation, 0.1
    ),
}


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_refused(name):
    model, (x, y) = small(), images(8)
    train = TRAINED[name]
    missing = r"`validation` when `config.max_drop` is given.*max_drop=0.1. Pass a pair"
    with pytest.raises(ValueError, match=missing):
        train(model, (x, y), None)
    with pytest.raises(ValueError, match="`train` to hold one integer label per image"):
        train(model, (x, None), (x, y))
    with pytest.raises(ValueError, match="`validation` to hold finite images"):
        train(model, (x, y), (x * np.nan, y))


def test_what_comes_back():
    model, (x, y) = small(), images(8)
    train, validation = check_splits(model, (x.tolist(), y[:, None]), None, None)
    np.testing.assert_array_equal(train[0], x)
    np.testing.assert_array_equal(train[1], y)
    assert validation is None
    assert check_splits(model, (x, y), (x, y), 0.1)[1][1].shape == (8,)
