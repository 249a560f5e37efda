"""Images and labels that fit a classifier, and what is said of others."""

import keras
import numpy as np
import pytest

from keras_basisprune.data.check_data import check_data


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((4, None, 1))
    x = keras.layers.GlobalMaxPooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


IMAGES = np.linspace(0, 1, 5 * 4 * 6, dtype="float32").reshape(5, 4, 6, 1)
LABELS = np.array([0, 1, 2, 1, 0])


@pytest.mark.parametrize("labels", ["needed", "optional"])
@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pair_comes_back_as_arrays(model, labels, kind):
    given = kind([IMAGES.tolist(), LABELS.tolist()])
    images, classes = check_data("train", model, given, labels)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(classes, LABELS)
    assert isinstance(images, np.ndarray) and isinstance(classes, np.ndarray)


def test_labels_may_be_a_column(model):
    _, labels = check_data("train", model, (IMAGES, LABELS[:, None]))
    np.testing.assert_array_equal(labels, LABELS)


def test_arrays_are_not_copied(model):
    images, labels = check_data("train", model, (IMAGES, LABELS))
    assert images is IMAGES
    assert labels is LABELS


@pytest.mark.parametrize(
    "given", [IMAGES, (IMAGES, None), keras.ops.convert_to_tensor(IMAGES)]
)
def test_labels_may_be_left_out_where_they_are_optional(model, given):
    images, labels = check_data("train", model, given, "optional")
    np.testing.assert_array_equal(images, IMAGES)
    assert labels is None


def test_images_of_integers_are_not_looked_through(model):
    images, _ = check_data("train", model, (IMAGES * 255).astype("uint8"), "optional")
    assert images.dtype == np.uint8


def poisoned(value):
    images = np.tile(IMAGES, (60, 1, 1, 1))
    images[271, 3, 5, 0] = value
    return images


@pytest.mark.parametrize(
    ("given", "labels", "text"),
    [
        (IMAGES, "needed", "`train` to be a pair .*ndarray. Pass images and integer"),
        (None, "optional", "pair \\(x, y\\) of arrays, or images alone.*NoneType"),
        ((IMAGES, LABELS, LABELS), "optional", "images alone. Received: tuple"),
        ((IMAGES, None), "needed", "one integer label per image.*5 images and y=None"),
        (
            (IMAGES[:, :3], LABELS),
            "needed",
            "images of shape \\(4, None, 1\\).*3, 6, 1",
        ),
        (IMAGES[0], "optional", "images of shape.*x of shape \\(4, 6, 1\\)"),
        (IMAGES[:0], "optional", "`train` to hold at least one image"),
        (IMAGES.astype(str), "optional", "images of numbers.*dtype <U"),
        (poisoned(np.nan), "optional", "finite images.*NaN or infinity in image 271"),
        (poisoned(-np.inf), "optional", "finite images.*in image 271"),
        (
            (IMAGES, LABELS[:4]),
            "optional",
            "one integer label per image.*shape \\(4,\\)",
        ),
        ((IMAGES, LABELS * 1.0), "optional", "dtype float64.*astype"),
        ((IMAGES, LABELS - 1), "optional", "labels in \\[0, 3\\).*from -1 to 1"),
        ((IMAGES, LABELS + 1), "needed", "the model has 3 outputs.*from 1 to 3"),
    ],
)
def test_what_does_not_fit_is_named(model, given, labels, text):
    with pytest.raises(ValueError, match=text):
        check_data("train", model, given, labels)


def test_the_argument_is_named(model):
    with pytest.raises(ValueError, match="`validation`"):
        check_data("validation", model, IMAGES)


def test_images_of_several_shapes_are_refused(model):
    images = [np.zeros((4, 6, 3)), np.zeros((5, 6, 3))]
    with pytest.raises(ValueError, match=r"one shape.*\(4, 6, 3\), \(5, 6, 3\)"):
        check_data("train", model, (images, [0, 1]))
