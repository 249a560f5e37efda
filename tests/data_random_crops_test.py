"""Random crops: what they show, their size and dtype, seeds, and what is refused."""

import numpy as np
import pytest

from keras_basisprune.data.random_crops import random_crops


def ramps(count=40, height=12, width=16):
    """Images whose pixels tell where they are: rows, columns, and the image."""
    y, x, n = np.meshgrid(
        np.arange(height), np.arange(width), np.arange(count), indexing="ij"
    )
    return np.stack([y, x, n], -1).transpose(2, 0, 1, 3).astype("float32")


def test_crops_are_enlarged_parts_of_their_image():
    images = ramps()
    crops = random_crops(images, copies=3, seed=1)
    assert crops.shape == (120, 12, 16, 3)
    np.testing.assert_array_equal(crops[..., 2], np.tile(images[..., 2], (3, 1, 1)))
    # Linear interpolation of a ramp is a ramp: along rows and columns alone.
    rows, columns = crops[:, :, 0, 0], crops[:, 0, :, 1]
    np.testing.assert_allclose(
        crops[..., 0], rows[:, :, None] + np.zeros(16), atol=1e-5
    )
    np.testing.assert_allclose(crops[..., 1], columns[:, None] + np.zeros((12, 1)),
                               atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(np.diff(rows, 2), 0, atol=1e-5)
    np.testing.assert_allclose(np.diff(columns, 2), 0, atol=1e-5)
    down, across = np.diff(rows)[:, 0], np.diff(columns)[:, 0]
    mirrored = across < 0
    assert 40 < mirrored.sum() < 80
    assert 0 < down.min() and down.max() <= 1 + 1e-6
    area = down * np.abs(across)
    assert 0.30 < area.min() < 0.45 and 0.85 < area.max() <= 1 + 1e-6
    assert rows.min() >= 0 and rows.max() <= 11
    assert columns.min() >= 0 and columns.max() <= 15


def test_whole_images_that_are_not_mirrored_are_copies():
    images = ramps(4, 6, 6)
    crops = random_crops(images, copies=50, least=1.0, flip=False)
    stretched = np.abs(crops - np.tile(images, (50, 1, 1, 1))).max((1, 2, 3))
    assert stretched.max() <= 1.0  # by a third of its height or width at most
    one = random_crops(images[:, :1, :1], copies=2)
    np.testing.assert_array_equal(one, np.tile(images[:, :1, :1], (2, 1, 1, 1)))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float64"])
def test_dtypes_stay_and_whole_numbers_are_rounded(dtype):
    images = (ramps(5) * 13).astype(dtype)
    crops = random_crops(images, seed=3)
    exact = random_crops(images.astype("float64"), seed=3)
    assert crops.dtype == dtype
    wanted = np.rint(exact) if np.dtype(dtype).kind in "iu" else exact.astype(dtype)
    np.testing.assert_array_equal(crops, wanted)


def test_seeds():
    images = ramps(3)
    first = random_crops(images, copies=2, seed=5)
    np.testing.assert_array_equal(random_crops(images, copies=2, seed=5), first)
    assert not np.array_equal(random_crops(images, copies=2, seed=6), first)
    np.random.seed(5)
    np.testing.assert_array_equal(random_crops(images, copies=2, seed=None), first)
    assert not np.array_equal(random_crops(images, copies=2, seed=None), first)
    assert not np.array_equal(first[:3], first[3:])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"images": np.zeros((4, 8, 8))}, "`images` to be of shape .n, height.*8, 8"),
        ({"images": np.zeros((0, 8, 8, 3))}, "`images` to be of shape.*0, 8"),
        ({"copies": 0}, "`copies`.*copies=0. Start with 8"),
        ({"least": 0.0}, "`least`.*\\(0, 1\\].*least=0.0"),
        ({"flip": "yes"}, "`flip` to be True or False"),
        ({"seed": -1}, "`seed`.*seed=-1"),
    ],
)
def test_what_is_refused(change, text):
    with pytest.raises(ValueError, match=text):
        random_crops(**({"images": np.zeros((2, 8, 8, 3))} | change))
