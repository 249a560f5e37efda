"""scores.bases: spectra of a model, and plans by them, before anything is built."""

import keras
import numpy as np
import pytest
from keras import layers
from models import KINDS, randomize, sample

import keras_basisprune as kbp
from keras_basisprune.graph import basis_pairs
from keras_basisprune.graph.trace import trace

CHOSEN = [
    "plain",
    "separable",
    "shared",
    "nested",
    "channels_first",
    "mixed_float16",
    "mixed_bfloat16",
    "float64",
    "custom",
]


def stored(converted):
    """The singular values of a converted model, by name."""
    pairs = basis_pairs(trace(converted))
    return {name: pair.singular_values for name, pair in pairs.items()}


def equal(found, expected):
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


def data_of(model):
    """Samples of the shapes that the model takes."""
    found = sample(model, batch=24)
    return found if len(model.inputs) > 1 else found[0]


@pytest.mark.parametrize("kind", CHOSEN)
def test_they_are_those_of_the_converted_model(kind):
    model = randomize(KINDS[kind]())
    before = model.get_weights()
    equal(kbp.scores.bases(model), stored(kbp.convert(model)))
    data = data_of(model)
    found = kbp.scores.bases(model, data, verbose=0)
    equal(found, stored(kbp.convert(model, data=data, verbose=0)))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_by_numpy():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    model = randomize(keras.Model(inputs, layers.Conv2D(4, 1, name="last")(x)))
    images = np.random.default_rng(0).random((20, 6, 6, 3), dtype="float32")
    matrix = np.array(model.get_layer("conv").kernel).reshape(27, 8)
    found = kbp.scores.bases(model)
    np.testing.assert_allclose(
        found["conv"], np.linalg.svd(matrix, compute_uv=False), rtol=1e-5
    )
    linear = keras.models.clone_model(model)
    linear.set_weights(model.get_weights())
    linear.get_layer("conv").activation = keras.activations.linear
    made = keras.Model(linear.input, linear.get_layer("conv").output)
    made = made.predict(images, verbose=0).reshape(-1, 8).astype(np.float64)
    variances = np.linalg.eigvalsh(np.cov(made, rowvar=False, bias=True))[::-1]
    found = kbp.scores.bases(model, images, verbose=0)
    np.testing.assert_allclose(found["conv"], np.sqrt(variances), rtol=1e-3)
    assert found["last"].shape == (4,)


def test_include_and_exclude():
    x = inputs = keras.Input((6, 6, 3))
    for name in ("one", "two"):
        x = layers.Conv2D(4, 3, name=name)(x)
    x = layers.Dense(3, name="head")(layers.Flatten()(x))
    model = randomize(keras.Model(inputs, x))
    for names, given in (
        (["one", "two"], {}),
        (["two"], {"exclude": "one"}),
        (["head"], {"include": layers.Dense}),
        (["one", "head"], {"include": ["one", "head"]}),
    ):
        found = kbp.scores.bases(model, **given)
        assert list(found) == names
        equal(found, stored(kbp.convert(model, **given)))


def test_names_where_others_are_taken():
    """`a_basis` is there before, and another `a` in a nested model."""
    inner_inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", name="a")(inner_inputs)
    x = layers.Conv2D(4, 3, padding="same", name="a_scaling")(x)
    inner = keras.Model(inner_inputs, x, name="inner")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="a_basis")(x)
    x = layers.Conv2D(4, 3, padding="same", name="a")(x)
    model = randomize(keras.Model(inputs, inner(x)))
    found = kbp.scores.bases(model)
    assert list(found) == ["a_basis", "a", "inner_a", "a_scaling_1"]
    equal(found, stored(kbp.convert(model)))
    for data in (None, data_of(model)):
        plan = kbp.select_bases(model, keep=0.5, data=data)
        assert plan.bases.keys() == found.keys()
        small = kbp.convert(model, plan, data=data, verbose=0)
        ranks = [x.kernel.shape[0] for x in small.layers if hasattr(x, "mask")]
        assert ranks == [len(kept.indices) for kept in plan.bases.values()]


@pytest.mark.parametrize("kind", CHOSEN)
@pytest.mark.parametrize("cost", ["flops", "params", "bases"])
def test_plans_of_both_models_are_the_same(kind, cost):
    model = randomize(KINDS[kind]())
    keep = 0.9 if kind == "separable" else 0.7
    data = data_of(model)
    for given in ({}, {"data": data}):
        converted = kbp.convert(model, verbose=0, **given)
        for aim in ({"keep": keep}, {"keep": keep, "scope": "local"}):
            plan = kbp.select_bases(model, cost=cost, **aim, **given)
            assert plan == kbp.select_bases(converted, cost=cost, **aim)
    kbp.convert(model, plan, basis="regression", data=data, verbose=0)


def test_what_was_found_before_is_not_computed_again():
    model = randomize(KINDS["plain"]())
    data = data_of(model)
    spectra = kbp.scores.bases(model, data, verbose=0)
    scores = {name: values**2 / np.sum(values**2) for name, values in spectra.items()}

    def never():
        raise AssertionError("data was read")
        yield

    plan = kbp.select_bases(model, keep=0.6, data=data, cost="params")
    given = {"scores": scores, "cost": "params"}
    assert plan == kbp.select_bases(model, keep=0.6, data=never(), **given)
    first = next(iter(scores))
    only = kbp.select_bases(model, threshold=0.1, scores={first: scores[first]})
    assert list(only.bases) == [first]


def test_what_is_refused():
    model = randomize(KINDS["plain"]())
    with pytest.raises(ValueError, match="`model` not to be converted yet"):
        kbp.scores.bases(kbp.convert(model))
    with pytest.raises(ValueError, match="`data` to hold arrays of the shapes"):
        kbp.scores.bases(model, np.zeros((3, 2)), verbose=0)
    inputs = keras.Input((3,))
    dense = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="a layer that can be decomposed"):
        kbp.scores.bases(dense)
    found = kbp.scores.bases(dense, include=layers.Dense)
    assert found[dense.layers[-1].name].shape == (2,)
