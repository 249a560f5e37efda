"""Keras Applications with a head: raw pixels in, probabilities out."""

import keras
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.data.application import application_names


@pytest.mark.parametrize("name", ["MobileNet", "VGG16"])
def test_preprocessing_is_part_of_the_model(name, tmp_path):
    model = kbp.data.application(name, weights=None, input_shape=(32, 32, 3), classes=4)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    modules = {
        "MobileNet": keras.applications.mobilenet,
        "VGG16": keras.applications.vgg16,
    }
    base = next(x for x in model.layers if isinstance(x, keras.Model))
    features = base(modules[name].preprocess_input(images.copy()))
    pooled = np.mean(keras.ops.convert_to_numpy(features), axis=(1, 2))
    head = model.get_layer("head")
    logits = pooled @ head.kernel.numpy() + head.bias.numpy()
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(model(images), expected, atol=1e-5)
    converted = kbp.convert(model)
    np.testing.assert_allclose(converted(images), model(images), atol=1e-5)


def test_weights_are_read_from_a_file(tmp_path):
    base = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=1.0, input_shape=(32, 32, 3)
    )
    path = tmp_path / "base.weights.h5"
    base.save_weights(path)
    model = kbp.data.application(
        "MobileNet", weights=str(path), input_shape=(32, 32, 3), classes=2
    )
    inner = next(x for x in model.layers if isinstance(x, keras.Model))
    for ours, theirs in zip(inner.get_weights(), base.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_all_forty_are_known():
    assert len(application_names()) == 40


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="model of `keras.applications`.*MobileNot"):
        kbp.data.application(
            "MobileNot", weights=None, input_shape=(32, 32, 3), classes=2
        )
