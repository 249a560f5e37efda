"""What rules say of layers in one word holds when the layers are run."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_basisprune.graph.factors_pass import factors_pass
from keras_basisprune.graph.rules import rule_of

FACTORS = np.array([2.0, 0.0, 0.5, 1.0], "float32")
SIGNED = np.array([2.0, -1.0, 0.0, -0.5], "float32")
IDLE = {
    "activity": layers.ActivityRegularization(0.1),
    "alpha": layers.AlphaDropout(0.5),
    "dropout": layers.Dropout(0.5),
    "gaussian": layers.GaussianDropout(0.5),
    "noise": layers.GaussianNoise(0.5),
    "identity": layers.Identity(),
    "spatial": layers.SpatialDropout2D(0.5),
}
LINEAR = {
    "average": layers.AveragePooling2D(2, padding="same"),
    "cropping": layers.Cropping2D(1),
    "flatten": layers.Flatten(),
    "global": layers.GlobalAveragePooling2D(),
    "bilinear": layers.UpSampling2D(2, interpolation="bilinear"),
    "padding": layers.ZeroPadding2D(1),
}
LARGEST = {"max": layers.MaxPooling2D(), "global_max": layers.GlobalMaxPooling2D()}
NEITHER = {
    "relu": layers.ReLU(),
    "sigmoid": layers.Activation("sigmoid"),
    "softmax": layers.Softmax(),
    "norm": layers.BatchNormalization(),
    "convolution": layers.Conv2D(4, 1),
    "random": layers.RandomZoom(0.5),
}


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 5, 5, 4)).astype("float32")


def passes(layer, x, factors):
    """Whether factors in front of a layer are the same as behind it."""
    one = keras.ops.convert_to_numpy(layer(x * factors))
    other = keras.ops.convert_to_numpy(layer(x))
    repeats = other.shape[-1] // len(factors)
    return np.allclose(one, other * np.tile(factors, repeats), atol=1e-6)


@pytest.mark.parametrize("name", IDLE)
def test_idle_layers_give_what_they_get(name, maps):
    assert rule_of(IDLE[name]).idle
    np.testing.assert_array_equal(IDLE[name](maps, training=False), maps)


@pytest.mark.parametrize("name", {**IDLE, **LINEAR})
def test_any_factors_pass(name, maps):
    layer = {**IDLE, **LINEAR}[name]
    assert factors_pass(layer, positive=False)
    assert factors_pass(layer)
    assert passes(layer, maps, SIGNED)


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_stays_the_largest_if_no_sign_changes(name, maps):
    assert factors_pass(LARGEST[name])
    assert not factors_pass(LARGEST[name], positive=False)
    assert passes(LARGEST[name], maps, FACTORS)
    assert not passes(LARGEST[name], maps, SIGNED)


@pytest.mark.parametrize("name", NEITHER)
def test_others_are_not_said_to_pass_factors(name):
    assert not factors_pass(NEITHER[name])
    rule = rule_of(NEITHER[name])
    assert not getattr(rule, "idle", False)


def test_what_follows_and_what_adds():
    def op(function, *shapes):
        inputs = [keras.Input(shape) for shape in shapes or [(4,)]]
        return keras.Function(inputs, function(*inputs)).operations[-1]

    following = [
        layers.Activation("swish"),
        layers.BatchNormalization(),
        layers.ELU(),
        layers.LeakyReLU(),
        layers.PReLU(),
        layers.ReLU(),
        op(keras.ops.relu6),
        op(keras.ops.gelu),
        op(keras.ops.softplus),
        op(keras.ops.tanh),
    ]
    others = [
        layers.Dropout(0.5),
        layers.LayerNormalization(),
        layers.MaxPooling2D(),
        op(keras.ops.abs),
        op(keras.ops.sin),
    ]
    assert all(rule_of(layer).follows for layer in following)
    assert not any(rule_of(layer).follows for layer in others)
    assert rule_of(layers.Add()).adds
    assert rule_of(op(lambda a, b: a + b, (4,), (4,))).adds
    for other in (
        layers.Multiply(),
        layers.Average(),
        op(keras.ops.subtract, (4,), (4,)),
    ):
        assert not rule_of(other).adds
