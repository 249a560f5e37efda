"""Tests of the augmentation that flags make."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_basisprune.search.augmented import augmented
from keras_basisprune.training.augmentation import augmentation
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.training.seeds import set_seeds


@pytest.fixture(name="images")
def _images():
    return np.random.default_rng(0).integers(0, 256, (64, 6, 6, 3)).astype("uint8")


def _augmented(layer, images):
    set_seeds(layer, 3, 1)
    return keras.ops.convert_to_numpy(layer(images, training=True))


def test_nothing_to_change_is_none():
    assert augmentation() is None
    assert augmentation("none", 0.0) is None


@pytest.mark.parametrize(
    ("flip", "axes"),
    [
        ("horizontal", [(), (2,)]),
        ("vertical", [(), (1,)]),
        ("horizontal_and_vertical", [(), (1,), (2,), (1, 2)]),
    ],
)
def test_every_image_is_itself_or_a_mirror_image(flip, axes, images):
    made = _augmented(augmentation(flip), images)
    mirrored = [np.flip(images, axis).astype("float32") for axis in axes]
    fits = np.array([(made == one).all((1, 2, 3)) for one in mirrored])
    np.testing.assert_array_equal(fits.any(0), True)
    np.testing.assert_array_less(5, fits.sum(1))  # each of them is drawn


def test_shifts_are_at_most_what_was_asked_for():
    # The image is its own row number, so that each row tells where it came from.
    rows = np.tile(np.arange(20.0)[:, None, None], (32, 1, 20, 1)).astype("float32")
    made = _augmented(augmentation(shift=0.1), rows)
    moved = made[:, 5:15, 5:15] - rows[:, 5:15, 5:15]
    assert 1.5 < np.abs(moved).max() <= 2.0 + 1e-4
    spread = np.ptp(moved, axis=(1, 2, 3))
    np.testing.assert_allclose(spread, 0.0, atol=1e-4)


def test_zoom_is_of_a_tenth_at_most_and_around_the_middle():
    rows = np.tile(np.arange(21.0)[:, None, None], (32, 1, 21, 1)).astype("float32")
    made = _augmented(augmentation(zoom=0.1), rows)
    np.testing.assert_allclose(made[:, 10], 10.0, atol=1e-4)
    steps = np.diff(made[:, 5:16], axis=1)  # of one row each, before
    np.testing.assert_allclose(np.ptp(steps, axis=(1, 2, 3)), 0.0, atol=1e-4)
    assert 0.9 - 1e-4 <= steps.min() < 0.93
    assert 1.07 < steps.max() <= 1.1 + 1e-4


def test_contrast_is_less_or_more_around_the_mean():
    images = np.random.default_rng(0).uniform(100, 150, (64, 6, 6, 3))
    made = _augmented(augmentation(contrast=0.4), images.astype("float32"))
    means = [x.mean((1, 2), keepdims=True) for x in (made, images)]
    np.testing.assert_allclose(*means, atol=0.01)
    factors = (made - means[0]) / (images - means[1])
    factor = np.median(factors, axis=(1, 2, 3))
    assert 0.6 - 1e-3 <= factor.min() < 0.7
    assert 1.3 < factor.max() <= 1.4 + 1e-3


def test_brightness_is_one_number_for_all_pixels_and_stays_within_their_range():
    images = np.random.default_rng(0).uniform(100, 150, (64, 6, 6, 3)).astype("float32")
    made = _augmented(augmentation(brightness=0.2), images)
    np.testing.assert_allclose(np.ptp(made - images, axis=(1, 2, 3)), 0.0, atol=1e-4)
    added = (made - images)[:, 0, 0, 0]
    assert -51 <= added.min() < -40
    assert 40 < added.max() <= 51
    lit = _augmented(augmentation(brightness=0.2), images + 100)
    assert lit.max() == 255.0


def test_same_seed_same_images(images):
    every = ("horizontal", 0.2, 0.1, 0.3, 0.1)
    made = [_augmented(augmentation(*every), images) for _ in range(2)]
    np.testing.assert_array_equal(*made)


def test_an_epochs_images_are_all_of_them_changed(images):
    recovery = Recovery(batch_size=10, augment=augmentation("horizontal"), seed=5)
    made = augmented(images, recovery)
    again = augmented(images, recovery, (None, 6, 6, 3))
    np.testing.assert_array_equal(made, again)
    other = augmented(images, dataclasses.replace(recovery, seed=6))
    assert (made != other).any()
    mirrored = np.stack([images, images[:, :, ::-1]], axis=1).astype("float32")
    same = (made[:, None, None] == mirrored[None]).all((3, 4, 5))  # made, source, flip
    np.testing.assert_array_equal(same.any(2).sum(0), 1)  # each image once
    np.testing.assert_array_less(10, same.any(1).sum(0))  # as it was, and mirrored
    unchanged = augmented(images, Recovery())
    np.testing.assert_array_equal(unchanged.sum(0), images.sum(0, dtype="int64"))


def test_config_does_not_depend_on_what_was_made_before():
    first, second = (augmentation("vertical", 0.1).get_config() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flip": "diagonal"}, "`flip`.*'none'.*diagonal"),
        ({"shift": 1.0}, r"`shift`.*\[0, 1\).*1.0.*0.1 is"),
        ({"shift": -0.1}, r"`shift`.*\[0, 1\).*-0.1"),
        ({"zoom": 1.5}, r"`zoom`.*\[0, 1\).*1.5.*more or less"),
        ({"contrast": -1}, r"`contrast`.*\[0, 1\).*-1"),
        ({"brightness": 51}, r"`brightness`.*\[0, 1\).*51.*of 255"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        augmentation(**arguments)
