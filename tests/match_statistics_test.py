"""match_statistics: the same function, and training that begins there."""

import keras
import numpy as np
import pytest
from models import array

from keras_basisprune.training.match_statistics import match_statistics

LAYERS = keras.layers


def images(count=400, seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, (count, 8, 8, 3)).astype("f")


def network(**norm):
    """A network whose moving statistics are far from those of its inputs."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = LAYERS.Conv2D(6, 3, name="first")(inputs)
    x = LAYERS.BatchNormalization(name="first_bn", **norm)(x)
    x = LAYERS.ReLU()(x)
    x = LAYERS.Conv2D(5, 3, name="second")(x)
    x = LAYERS.BatchNormalization(name="second_bn", **norm)(x)
    model = keras.Model(inputs, LAYERS.GlobalAveragePooling2D()(x))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, LAYERS.BatchNormalization):
            for v in layer.weights:
                v.assign(rng.uniform(0.5, 2.0, v.shape))
    return model


def answers(model, x, training=False):
    before = model.get_weights()
    found = array(model(x, training=training))
    model.set_weights(before)  # a call in training moves the statistics
    return found


def inputs_of(model, name, x):
    probe = keras.Model(model.inputs, model.get_layer(name).input)
    return array(probe(x)).astype(np.float64)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_inference_stays_the_same(scale, center):
    model, x = network(scale=scale, center=center), images()
    before = answers(model, x)
    match_statistics(model, x)
    np.testing.assert_allclose(answers(model, x), before, rtol=2e-5, atol=2e-5)


def test_statistics_are_those_of_the_inputs():
    model, x = network(), images()
    match_statistics(model, x)
    for name in ("first_bn", "second_bn"):
        layer, seen = model.get_layer(name), inputs_of(model, name, x)
        np.testing.assert_allclose(
            array(layer.moving_mean), seen.mean((0, 1, 2)), rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            array(layer.moving_variance), seen.var((0, 1, 2)), rtol=1e-4
        )


def test_training_computes_what_inference_does():
    model, x = network(), images()
    inference, far = answers(model, x), answers(model, x, training=True)
    match_statistics(model, x)
    near = answers(model, x, training=True)
    assert np.abs(far - inference).max() > 0.3
    np.testing.assert_allclose(near, inference, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("norm", "kept"),
    [({"scale": False}, "moving_variance"), ({"center": False}, "moving_mean")],
)
def test_what_can_not_be_made_up_for_is_kept(norm, kept):
    model = network(**norm)
    before = array(getattr(model.get_layer("second_bn"), kept))
    match_statistics(model, images())
    np.testing.assert_array_equal(
        array(getattr(model.get_layer("second_bn"), kept)), before
    )


def test_batches_do_not_matter():
    # 128 images are a batch: the last of 300 has 44.
    model, x = network(), images(300)
    match_statistics(model, x)
    seen = inputs_of(model, "first_bn", x)
    np.testing.assert_allclose(
        array(model.get_layer("first_bn").moving_variance),
        seen.var((0, 1, 2)),
        rtol=1e-4,
    )


def test_nested_models_and_shared_layers():
    keras.utils.set_random_seed(0)
    shared = LAYERS.BatchNormalization(name="shared")
    inner_in = keras.Input((8, 8, 3))
    inner = keras.Model(inner_in, shared(LAYERS.Conv2D(3, 1)(inner_in)), name="inner")
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, inner(inner(inputs)))
    x = images()
    before = answers(model, x)
    match_statistics(model, x)
    np.testing.assert_allclose(answers(model, x), before, rtol=1e-4, atol=1e-4)
    first = array(inner.layers[1](x)).astype(np.float64)
    np.testing.assert_allclose(
        array(shared.moving_mean), first.mean((0, 1, 2)), rtol=1e-4, atol=1e-4
    )


def test_values_that_are_not_finite_change_nothing():
    model, x = network(), images()
    model.get_layer("second").kernel.assign(np.full((3, 3, 6, 5), np.inf))
    before = [array(w) for w in model.get_layer("second_bn").weights]
    match_statistics(model, x)
    for one, two in zip(before, model.get_layer("second_bn").weights, strict=True):
        np.testing.assert_array_equal(one, array(two))


def test_a_model_without_the_layer_stays():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, LAYERS.Flatten()(LAYERS.Conv2D(2, 3)(inputs)))
    before = model.get_weights()
    match_statistics(model, images(4))
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
