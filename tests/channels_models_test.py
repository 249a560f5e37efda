"""Whole models without some channels, against the oracle."""

import keras
import numpy as np
import pytest
from channel_oracle import between, check, random_plan, zeroed
from contract import mask_half
from keras import layers, ops
from models import KINDS, TOLERANCE, outputs, randomize, relative_difference, sample

import keras_basisprune as kbp


def squeeze_and_excite(x):
    y = layers.GlobalAveragePooling2D()(x)
    y = layers.Reshape((1, 1, 6))(y)
    y = layers.Conv2D(2, 1, activation="relu")(y)
    return layers.Multiply()([x, layers.Conv2D(6, 1, activation="sigmoid")(y)])


def shared_layers():
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    stem = layers.Conv2D(6, 3, name="a")
    body = layers.Conv2D(6, 3, padding="same", activation="relu")
    norm, add = layers.BatchNormalization(), layers.Add()
    x, y = (add([stem(t), norm(body(norm(body(stem(t)))))]) for t in (a, b))
    return keras.Model([a, b], layers.Dense(2)(layers.Flatten()(x - y)))


def nested_models():
    x = inner_inputs = keras.Input((8, 8, 6))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    inner = keras.Model(inner_inputs, [x, layers.Conv2D(5, 1)(x)], name="inner")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", name="a")(x)
    y, z = inner(x)
    y, w = inner(y + x)
    return keras.Model(inputs, layers.Conv2D(2, 1)(ops.concatenate([y, z, w], -1)))


def several_inputs():
    x = image = keras.Input((8, 8, 3))
    words = keras.Input((4,), dtype="int32")
    x = layers.Conv2D(6, 3, name="a")(x)
    y = layers.Embedding(5, 6)(words)
    y = layers.GlobalAveragePooling1D()(layers.Dense(5)(y))
    y = layers.Dense(6)(layers.LayerNormalization()(y))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 6))(y)])
    return keras.Model([image, words], layers.Dense(2)(layers.Flatten()(x)))


def none_sizes():
    x = inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(6, 3, name="a")(x)
    x = layers.Reshape((-1, 6))(x) * np.arange(1.0, 7.0, dtype="float32")
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))


@pytest.mark.parametrize(
    "make", [shared_layers, nested_models, several_inputs, none_sizes]
)
def test_whole_models(make):
    model = make()
    assert kbp.graph.channel_groups(model).prunable("a").all()
    assert any("a" in plan.channels for plan in check(model, 3))


@pytest.mark.parametrize("name", KINDS)
def test_all_kinds_of_models(name):
    model = kbp.graph.flatten(KINDS[name]())
    dtype = name.removeprefix("mixed_")
    plans = check(model, tolerance=TOLERANCE.get(dtype, 1e-5))
    groups = kbp.graph.channel_groups(model)
    assert plans or len(groups.pinned) == len(groups)


@pytest.mark.parametrize("name", ["plain", "conv1d", "separable"])
def test_converted_models(name):
    model = kbp.convert(randomize(KINDS[name]()), include=lambda layer: True)
    mask_half(model)
    x, bases = sample(model), kbp.Plan.from_masks(model).bases
    for seed in range(2):
        plan = random_plan(model, seed, 0.5)
        assert any(name.endswith("_scaling") for name in plan.channels)
        expected = outputs(zeroed(model, plan), x)
        for small in (
            kbp.prune(model, plan),
            kbp.prune(model, kbp.Plan(bases, plan.channels)),
        ):
            assert relative_difference(expected, outputs(small, x)) <= 1e-5
            folded = kbp.fold(small)
            assert relative_difference(expected, outputs(folded, x)) <= 1e-5


def test_a_pruned_model_is_saved_and_pruned_again(tmp_path):
    model = randomize(between(squeeze_and_excite))
    small = kbp.prune(model, random_plan(model, 1, 0.3))
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    x = sample(small)
    assert relative_difference(outputs(small, x), outputs(loaded, x)) == 0
    plan = random_plan(loaded, 1, 0.5)
    expected = outputs(zeroed(loaded, plan), x)
    again = kbp.prune(loaded, plan)
    assert relative_difference(expected, outputs(again, x)) <= 1e-5
    assert again.count_params() < small.count_params() < model.count_params()
