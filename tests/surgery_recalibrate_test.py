"""recalibrate against means and variances that NumPy takes of the inputs."""

import keras
import numpy as np
import pytest
from models import array, conv_block, outputs

import keras_basisprune as kbp


def network():
    inputs = keras.Input((9, 9, 3))
    x = conv_block(conv_block(inputs, 4, "a"), 5, "b")
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def images(count=50):
    return np.random.default_rng(0).normal(2.0, 3.0, (count, 9, 9, 3)).astype("f")


def inputs_of(model, name, x):
    probe = keras.Model(model.inputs, model.get_layer(name).input)
    return array(probe(x)).astype(np.float64)


def test_statistics_are_those_of_the_inputs_with_new_ones_before():
    model, x = network(), images()
    new = kbp.surgery.recalibrate(model, x, verbose=0)
    for name in ("a_bn", "b_bn"):
        seen = inputs_of(new, name, x)
        layer = new.get_layer(name)
        np.testing.assert_allclose(
            array(layer.moving_mean), seen.mean((0, 1, 2)), atol=1e-5
        )
        np.testing.assert_allclose(
            array(layer.moving_variance), seen.var((0, 1, 2)), rtol=1e-4
        )


def test_the_given_model_stays_and_order_and_batches_do_not_matter():
    model, x = network(), images()
    before = outputs(model, x)
    new = kbp.surgery.recalibrate(model, x, verbose=0)
    np.testing.assert_array_equal(before[0], outputs(model, x)[0])
    turned = kbp.surgery.recalibrate(
        model, [x[::-1][i : i + 7] for i in range(0, 50, 7)], verbose=0
    )
    np.testing.assert_allclose(
        outputs(new, x)[0], outputs(turned, x)[0], rtol=1e-5, atol=1e-5
    )


def test_dense_features():
    inputs = keras.Input((6,))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Dense(4)(inputs))
    model = keras.Model(inputs, x)
    data = np.random.default_rng(1).normal(size=(40, 6)).astype("f")
    made = outputs(kbp.surgery.recalibrate(model, data, verbose=0), data)[0]
    np.testing.assert_allclose(made.mean(0), 0, atol=1e-5)
    seen = inputs_of(model, "bn", data).var(0)
    np.testing.assert_allclose(made.var(0), seen / (seen + 1e-3), rtol=1e-4)


def test_a_model_without_statistics_is_refused():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="`model` to have BatchNormalization layers"):
        kbp.surgery.recalibrate(model, np.zeros((3, 4), "f"))
