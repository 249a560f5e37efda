"""Training of the scales: what trains, how far it goes, what it needs."""

import keras
import numpy as np
import pytest

import keras_basisprune as kbp


@pytest.fixture(scope="module")
def model(digits):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*digits.train, epochs=5, verbose=0)
    return model


def test_sparsify_trains_scales_and_reaches_the_threshold(model, digits):
    converted = kbp.convert(model, l1=1e-3)
    kernels = [x.kernel.numpy() for x in converted.layers if x.name.endswith("_basis")]
    history = kbp.sparsify(
        converted, digits.train, config=kbp.Recipe(epochs=3, threshold=1e-2), verbose=0
    )
    kept = history.history["kept_bases"]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] < 9 + 64
    after = [x.kernel.numpy() for x in converted.layers if x.name.endswith("_basis")]
    for old, new in zip(kernels, after, strict=True):
        np.testing.assert_array_equal(old, new)
    scores = kbp.scores.energy(converted)
    assert all(np.count_nonzero(v) >= 1 for v in scores.values())


def test_sparsify_needs_validation_for_a_budget(model, digits):
    converted = kbp.convert(model)
    with pytest.raises(ValueError, match="`validation` when `config.max_drop`"):
        kbp.sparsify(converted, digits.train, config=kbp.Recipe(max_drop=0.1))


def test_statistics_follow_the_masks_at_once(digits):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.999)(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    converted = kbp.convert(keras.Model(inputs, outputs))
    recipe = kbp.Recipe(epochs=2, threshold=1e-2, learning_rate=1e-4)
    kbp.sparsify(converted, digits.train, config=recipe, verbose=0)
    norm = converted.layers[3]
    features = keras.Model(converted.input, converted.get_layer("conv_scaling").output)
    seen = features.predict(digits.train[0], verbose=0)
    assert norm.momentum == 0.999
    # from 0 at first; by 80 steps with a momentum of 0.999 it would be 8 % of the way
    mean, deviation = seen.mean((0, 1, 2)), seen.std((0, 1, 2))
    assert np.all(np.abs(norm.moving_mean.numpy() - mean) < 0.1 * deviation)
