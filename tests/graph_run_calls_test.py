import keras
import numpy as np
import pytest
from models import KINDS, TOLERANCE, array, outputs, randomize, relative_difference
from models import sample as sample_of

from keras_basisprune.graph.run_calls import run_calls
from keras_basisprune.trace import trace

layers = keras.layers


def images(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def given(traced, inputs):
    """The values that a run starts from: those of the model's inputs."""
    tensors, arrays = (keras.tree.flatten(x) for x in (traced.inputs, inputs))
    return {id(t): x for t, x in zip(tensors, arrays, strict=True)}


def ids(tensors):
    return {id(t) for t in keras.tree.flatten(tensors)}


def in_order(traced, made):
    return [made[id(t)] for t in keras.tree.flatten(traced.outputs)]


def small():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(layers.Dropout(0.5, name="dropout")(x))
    return randomize(keras.Model(inputs, layers.GlobalMaxPooling2D(name="top")(x)))


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 11, 64])
def test_equals_predict_whatever_the_batches(batch_size):
    model, x = small(), images(10, 6, 6, 3)
    traced = trace(model)
    made = run_calls(traced.calls, given(traced, x), ids(traced.outputs), batch_size)
    expected = model.predict(x, verbose=0)
    (found,) = in_order(traced, made)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "kind",
    [
        "operators",
        "conv1d",
        "dictionaries",
        "lists",
        "shared",
        "nested",
        "nested_inference",
        "channels_first",
        "mixed_float16",
        "mixed_bfloat16",
        "float64",
        "wrappers",
        "masked",
    ],
)
def test_every_kind_of_model(kind):
    model = randomize(KINDS[kind]())
    inputs = sample_of(model, batch=3)
    traced = trace(model)
    expected = outputs(model, inputs)
    # What is an input and an output at once is made by no call.
    wanted = ids(traced.outputs) - ids(traced.inputs)
    values = given(traced, inputs)
    made = run_calls(traced.calls, values, wanted, 2)
    assert made.keys() == wanted
    found = in_order(traced, values | made)
    assert [x.dtype for x in found] == [x.dtype for x in expected]
    dtype = kind.removeprefix("mixed_")
    tolerance = TOLERANCE.get(dtype, TOLERANCE["float32"])
    assert relative_difference(expected, found) <= tolerance


def test_several_inputs_of_predict():
    model = randomize(KINDS["dictionaries"]())
    inputs = sample_of(model, batch=5)
    traced = trace(model)
    made = run_calls(traced.calls, given(traced, inputs), ids(traced.outputs), 2)
    expected = model.predict(inputs, verbose=0)
    for name, tensor in traced.outputs.items():
        np.testing.assert_allclose(made[id(tensor)], expected[name], atol=1e-5)


def test_only_wanted_tensors():
    model, x = small(), images(5, 6, 6, 3)
    traced = trace(model)
    made_by = {c.op.name: id(c.output_tensors[0]) for c in traced.calls}
    wanted = {made_by["conv"], made_by["relu"]}
    made = run_calls(traced.calls, given(traced, x), wanted, 2)
    assert made.keys() == wanted
    conv, norm = model.get_layer("conv"), model.get_layer("bn")
    np.testing.assert_allclose(made[made_by["conv"]], array(conv(x)), atol=1e-5)
    normed = array(norm(conv(x)))
    np.testing.assert_allclose(
        made[made_by["relu"]], np.maximum(normed, 0.0), rtol=0, atol=1e-5
    )


def test_nothing_wanted():
    traced = trace(small())
    assert run_calls(traced.calls, {}, set(), 2) == {}
    assert run_calls([], {}, set(), 2) == {}


def test_from_the_middle_on():
    """What was made by a run is what the next one starts from."""
    model, x = small(), images(5, 6, 6, 3)
    traced = trace(model)
    values = given(traced, x)
    for call in traced.calls:
        values |= run_calls([call], values, ids(call.outputs), 2)
    (whole,) = in_order(
        traced, run_calls(traced.calls, given(traced, x), ids(traced.outputs), 2)
    )
    (found,) = in_order(traced, values)
    np.testing.assert_array_equal(found, whole)
    assert len(values) == 1 + len(traced.calls)


def test_other_values_are_not_touched():
    """Values that no call reads may be of anything with as many samples."""
    model, x = small(), images(4, 6, 6, 3)
    traced = trace(model)
    beside = {-1: np.full((4, 1), np.nan), -2: np.array(["a"] * 4)}
    values = given(traced, x) | beside
    before = x.copy()
    made = run_calls(traced.calls, values, ids(traced.outputs), 3)
    (found,) = in_order(traced, made)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    np.testing.assert_array_equal(x, before)
    assert values.keys() == given(traced, x).keys() | beside.keys()


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16"])
def test_inputs_are_cast_as_the_model_does(dtype):
    model = small()
    x = np.random.default_rng(2).integers(0, 9, (4, 6, 6, 3)).astype(dtype)
    traced = trace(model)
    made = run_calls(traced.calls, given(traced, x), ids(traced.outputs), 3)
    (found,) = in_order(traced, made)
    assert found.dtype == np.float32
    expected = model.predict(x.astype("float32"), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_calls_of_several_outputs():
    x = inputs = keras.Input((5, 3))
    whole, *states = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    left, right = keras.ops.split(whole, 2, axis=-1)
    model = randomize(keras.Model(inputs, [right, states[1], left]))
    x, traced = images(5, 5, 3), trace(model)
    made = run_calls(traced.calls, given(traced, x), ids(traced.outputs), 2)
    expected = model.predict(x, verbose=0)
    for one, other in zip(in_order(traced, made), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_dropout_does_nothing_and_weights_stay():
    model, x = small(), images(6, 6, 6, 3)
    before = [array(w) for w in model.weights]
    traced = trace(model)
    made_by = {c.op.name: id(c.output_tensors[0]) for c in traced.calls}
    wanted = {made_by["bn"], made_by["dropout"]}
    made = run_calls(traced.calls, given(traced, x), wanted, 4)
    np.testing.assert_array_equal(made[made_by["dropout"]], made[made_by["bn"]])
    for one, other in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(one), other)
