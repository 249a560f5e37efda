"""LiveValues: tensors of a model on data, as long as they are needed."""

import keras
import numpy as np
import pytest
from keras import layers
from models import array, randomize

from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.trace import trace


@pytest.fixture(scope="module")
def model():
    x = inputs = keras.Input((6, 6, 3))
    x = shortcut = layers.Conv2D(4, 3, padding="same", name="one")(x)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="two")(x)
    x = layers.Add(name="sum")([x, shortcut])
    return randomize(keras.Model(inputs, layers.Dense(2, name="head")(x)))


@pytest.fixture(scope="module")
def batches():
    images = np.random.default_rng(0).standard_normal((7, 6, 6, 3), "float32")
    return [[images[:4]], [images[4:]]]


def inner(model, name):
    return keras.Model(model.inputs[0], model.get_layer(name).output)


def test_values_come_and_go(model, batches):
    traced = trace(model)
    at = {call.op.name: index for index, call in enumerate(traced.calls)}
    tensors = {call.op.name: call.output_tensors[0] for call in traced.calls}
    live = LiveValues(traced, batches)
    assert traced.inputs in live
    for name, there in (("two", ["one"]), ("sum", ["one", "two"]), ("head", ["sum"])):
        live.advance(at[name])
        assert [key for key, tensor in tensors.items() if tensor in live] == there
        for key in there:
            for (images,), found in zip(batches, live.of(tensors[key]), strict=True):
                expected = array(inner(model, key)(images))
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert traced.inputs not in live


def test_a_copy_goes_on_by_itself(model, batches):
    traced = trace(model)
    at = {call.op.name: index for index, call in enumerate(traced.calls)}
    tensors = {call.op.name: call.output_tensors[0] for call in traced.calls}
    before = LiveValues(traced, batches)
    before.advance(at["two"])
    after = before.copy()
    two = model.get_layer("two")
    own = two.get_weights()
    two.set_weights([weight * 0 for weight in own])
    after.advance(at["sum"])
    two.set_weights(own)
    assert tensors["two"] not in before
    before.advance(at["sum"])
    assert all((values == 0).all() for values in after.of(tensors["two"]))
    assert all((values > 0).any() for values in before.of(tensors["two"]))
    shared = zip(before.of(tensors["one"]), after.of(tensors["one"]), strict=True)
    assert all(one is other for one, other in shared)  # nothing is computed twice
