import keras
import numpy as np
import pytest
from models import KINDS, TOLERANCE, array, outputs, randomize, relative_difference
from models import sample as sample_of

from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.trace import trace

layers = keras.layers


def images(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def given(traced, inputs, size=2):
    """The values that a run starts from: batches of the model's inputs."""
    tensors, arrays = (keras.tree.flatten(x) for x in (traced.inputs, inputs))
    pairs = zip(tensors, arrays, strict=True)
    return {id(t): np.split(x, range(size, len(x), size)) for t, x in pairs}


def ids(tensors):
    return {id(t) for t in keras.tree.flatten(tensors)}


def in_order(traced, made):
    """The outputs, batches put together."""
    outputs = keras.tree.flatten(traced.outputs)
    return [np.concatenate(made[id(t)]) for t in outputs]


def small():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(layers.Dropout(0.5, name="dropout")(x))
    return randomize(keras.Model(inputs, layers.GlobalMaxPooling2D(name="top")(x)))


def test_equals_predict_whatever_the_batches():
    model, x = small(), images(10, 6, 6, 3)
    traced = trace(model)
    expected = model.predict(x, verbose=0)
    for size in (1, 3, 5, 10, 11, 64):
        values = given(traced, x, size)
        made = run_calls(traced.calls, values, ids(traced.outputs))
        sizes = [len(batch) for batch in made[id(traced.outputs)]]
        assert sizes == [len(batch) for batch in values[id(traced.inputs)]]
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
    made = run_calls(traced.calls, values, wanted)
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
    made = run_calls(traced.calls, given(traced, inputs), ids(traced.outputs))
    expected = model.predict(inputs, verbose=0)
    for name, tensor in traced.outputs.items():
        found = np.concatenate(made[id(tensor)])
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=1e-5)


def test_only_wanted_tensors():
    model, x = small(), images(5, 6, 6, 3)
    traced = trace(model)
    made_by = {c.op.name: id(c.output_tensors[0]) for c in traced.calls}
    wanted = {made_by["conv"], made_by["relu"]}
    made = run_calls(traced.calls, given(traced, x), wanted)
    assert made.keys() == wanted
    conved, active = (np.concatenate(made[made_by[x]]) for x in ("conv", "relu"))
    conv, norm = model.get_layer("conv"), model.get_layer("bn")
    np.testing.assert_allclose(conved, array(conv(x)), rtol=0, atol=1e-5)
    expected = np.maximum(array(norm(conv(x))), 0.0)
    np.testing.assert_allclose(active, expected, rtol=0, atol=1e-5)


def test_nothing_wanted():
    traced = trace(small())
    assert run_calls(traced.calls, given(traced, images(4, 6, 6, 3)), set()) == {}
    assert run_calls(traced.calls, {}, set()) == run_calls([], {}, set()) == {}


def test_from_the_middle_on():
    """What was made by a run is what the next one starts from."""
    model, x = small(), images(5, 6, 6, 3)
    traced = trace(model)
    values = given(traced, x)
    for call in traced.calls:
        values |= run_calls([call], values, ids(call.outputs))
    (whole,) = in_order(
        traced, run_calls(traced.calls, given(traced, x), ids(traced.outputs))
    )
    (found,) = in_order(traced, values)
    np.testing.assert_array_equal(found, whole)
    assert len(values) == 1 + len(traced.calls)


def test_other_values_are_not_touched():
    """Values that no call reads may be of anything, in as many batches."""
    model, x = small(), images(4, 6, 6, 3)
    traced = trace(model)
    beside = {-1: [np.full((2, 1), np.nan)] * 2, -2: ["a", "b"]}
    values = given(traced, x) | beside
    before = x.copy()
    made = run_calls(traced.calls, values, ids(traced.outputs))
    (found,) = in_order(traced, made)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)
    np.testing.assert_array_equal(x, before)
    assert values.keys() == given(traced, x).keys() | beside.keys()


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16"])
def test_inputs_are_cast_as_the_model_does(dtype):
    model = small()
    x = np.random.default_rng(2).integers(0, 9, (4, 6, 6, 3)).astype(dtype)
    traced = trace(model)
    made = run_calls(traced.calls, given(traced, x), ids(traced.outputs))
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
    made = run_calls(traced.calls, given(traced, x), ids(traced.outputs))
    expected = model.predict(x, verbose=0)
    for one, other in zip(in_order(traced, made), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_dropout_does_nothing_and_weights_stay():
    model, x = small(), images(6, 6, 6, 3)
    before = [array(w) for w in model.weights]
    traced = trace(model)
    made_by = {c.op.name: id(c.output_tensors[0]) for c in traced.calls}
    wanted = {made_by["bn"], made_by["dropout"]}
    made = run_calls(traced.calls, given(traced, x), wanted)
    for one, other in zip(made[made_by["dropout"]], made[made_by["bn"]], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(array(one), other)


def test_random_layers_do_nothing():
    x = inputs = keras.Input((6, 6, 3))
    augment = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)])
    x = layers.RandomTranslation(0.3, 0.3)(augment(x))
    x = layers.Dropout(0.5)(layers.Conv2D(4, 3)(x), training=True)
    model, x = randomize(keras.Model(inputs, x)), images(6, 6, 6, 3)
    traced = trace(model)
    (found,) = in_order(
        traced, run_calls(traced.calls, given(traced, x), ids(traced.outputs))
    )
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
