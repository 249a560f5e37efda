"""What the original makes is computed once for many fits, and changes nothing."""

import gc

import keras
import numpy as np
import pytest
from keras import layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune.data.spilling import current_spill
from keras_basisprune.graph.running import RememberedValues
from keras_basisprune.methods import _original_targets
from keras_basisprune.surgery import _original_outputs


@pytest.fixture(scope="module")
def model():
    x = inputs = keras.Input((8, 8, 3))
    x = shortcut = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = layers.Add()([layers.BatchNormalization()(x), shortcut])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(12, 1)(x))
    return randomize(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((90, 8, 8, 3)).astype("float32")


def pruned(model, images, keep):
    plan = kbp.select_channels(model, keep=keep)
    return kbp.compensate(model, plan, images, verbose=0).get_weights()


def decomposed(model, images, keep):
    return kbp.convert(model, keep=keep, data=images, verbose=0).get_weights()


@pytest.fixture
def passes(monkeypatch):
    """How many passes of an original there were."""
    count = []
    for module in (_original_targets, _original_outputs):
        folds = module.sample_folds

        def counted(batches, folds=folds):
            count.append(1)
            return folds(batches)

        monkeypatch.setattr(module, "sample_folds", counted)
    return count


@pytest.mark.parametrize("fit", [pruned, decomposed])
def test_once_for_several_cuts(model, images, passes, fit):
    shares = (0.7, 0.5, 0.3)
    expected = [fit(model, images, share) for share in shares]
    assert len(passes) == 3
    with kbp.data.spilling(memory=0):
        values = RememberedValues(model, images)
        for share, weights in zip(shares, expected, strict=True):
            with values():
                found = fit(model, images, share)
            for one, other in zip(found, weights, strict=True):
                np.testing.assert_array_equal(one, other)
        assert len(passes) == 4
        gc.collect()
        assert current_spill().on_disk > 0  # it is still known
        del values
        gc.collect()
        assert current_spill().on_disk == 0


@pytest.mark.parametrize("fit", [pruned, decomposed])
def test_not_for_other_networks_nor_other_images(model, images, fit):
    other = randomize(keras.models.clone_model(model), 3)
    pairs = [(model, -images), (other, images), (model, images)]
    expected = [fit(*pair, 0.5) for pair in pairs]
    values = RememberedValues(model, images)
    with values():
        fit(model, images, 0.6)
        for pair, weights in zip(pairs, expected, strict=True):
            for one, wanted in zip(fit(*pair, 0.5), weights, strict=True):
                np.testing.assert_array_equal(one, wanted)


def test_not_outside_of_a_block(model, images, passes):
    values = RememberedValues(model, images)
    with pytest.raises(ZeroDivisionError), values():
        pruned(model, images, 0.5)
        raise ZeroDivisionError
    pruned(model, images, 0.5)
    assert len(passes) == 2


def test_a_ridge_of_ones_own_is_not_mixed_up(model, images):
    plan = kbp.select_channels(model, keep=0.5)
    values = RememberedValues(model, images)
    for ridge in (None, 1e-8, 0.1):
        given = {"ridge": ridge, "verbose": 0}
        expected = kbp.compensate(model, plan, images, **given).get_weights()
        with values():
            found = kbp.compensate(model, plan, images, **given).get_weights()
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
