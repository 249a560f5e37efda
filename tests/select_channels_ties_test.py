"""select_channels where channels are tied or sliced: limits, and plans that fit."""

import re

import keras
import numpy as np
import pytest
from channel_oracle import zeroed
from keras import layers, ops
from models import outputs, randomize, relative_difference, sample

import keras_basisprune as kbp


def residual():
    """`stem`, `res` and what is between are tied; `inner` is free."""
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(x)
    y = layers.Conv2D(12, 3, padding="same", activation="relu", name="inner")(x)
    y = layers.Conv2D(8, 3, padding="same", name="res")(y)
    y = layers.BatchNormalization(name="norm")(y)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([x, y]))
    return randomize(keras.Model(inputs, layers.Conv2D(2, 1, name="head")(x)))


def nested():
    inside = residual()
    inputs = keras.Input((6, 6, 3))
    inner = keras.Model(inside.input, inside.get_layer("relu").output, name="inside")
    return randomize(keras.Model(inputs, layers.Conv2D(2, 1)(inner(inputs))))


def scored(model, seed=0):
    return np.random.default_rng(seed).random(len(kbp.graph.channel_groups(model)))


EXCLUDE = {
    "the first maker": "stem",
    "another maker": "res",
    "what keeps them": "norm",
    "a layer without weights": "add",
    "an activation": "relu",
    "an expression": "r.s",
    "a class": layers.BatchNormalization,
    "a predicate": lambda layer: layer.name == "res",
    "a list": ["res", layers.Dropout],
}


@pytest.mark.parametrize("make", [residual, nested])
@pytest.mark.parametrize("name", EXCLUDE)
def test_excluded_layers_keep_every_group_that_they_are_part_of(name, make):
    model = make()
    limits = kbp.Limits(exclude=EXCLUDE[name])
    for seed in range(2):
        plan = kbp.select_channels(
            model,
            scores=scored(model, seed),
            keep=0.7,
            cost="params",
            limits=limits,
            scope="global",
        )
        assert set(plan.channels) == {"inner"}
    free = kbp.select_channels(
        model, scores=scored(model), keep=0.5, cost="params", scope="global"
    )
    assert "stem" in free.channels


def test_what_excluded_layers_only_read_may_leave():
    model = residual()
    limits = kbp.Limits(exclude=["inner", "head"])
    plan = kbp.select_channels(
        model,
        scores=scored(model),
        keep=0.6,
        cost="params",
        limits=limits,
        scope="global",
    )
    assert set(plan.channels) == {"stem", "res"}
    small = kbp.prune(model, plan)
    assert small.get_layer("inner").kernel.shape[2] < 8
    assert small.get_layer("inner").filters == 12


def parts(x, axis=-1, last=slice(2, None)):
    first = [slice(None)] * len(x.shape)
    second = list(first)
    first[axis], second[axis] = slice(None, 2), last
    return x[tuple(first)], x[tuple(second)]


def joined(x):
    a, b = parts(x)
    return layers.Concatenate()([a, layers.Conv2D(4, 1, name="b")(b)])


def grouped(x):
    a, b = parts(x)
    b = layers.Conv2D(4, 1, groups=2, name="b")(b)
    return layers.Concatenate()([layers.DepthwiseConv2D(3, padding="same")(a), b])


def nested_slices(x):
    return layers.Concatenate()([x[..., 1:][..., :2], x[..., :1], x[..., -2:]])


def thrown_away(x):
    return layers.Conv2D(3, 1, name="b")(layers.BatchNormalization()(x[..., 4:]))


def tied(x):
    a, b = x[..., :3], x[..., 3:]
    return layers.Multiply()([a, layers.Conv2D(3, 1, name="b")(b)])


def reversed_slices(x):
    a, b = parts(x)
    return layers.Concatenate()([b[..., ::-1], a])


def stops(x):
    """Strides, splits and gathering of channels are not followed: all stay."""
    y = layers.Conv2D(6, 1, name="b")(x)
    a, b = ops.split(y, [2], axis=-1)
    taken = ops.take(y, [0, 4], axis=-1)
    return layers.Concatenate()([a, b, y[..., ::2], taken, x])


SLICES = [joined, grouped, nested_slices, thrown_away, tied, reversed_slices, stops]


def sliced(middle):
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(x)
    return randomize(keras.Model(inputs, layers.Conv2D(2, 1, name="head")(middle(x))))


@pytest.mark.parametrize("middle", SLICES)
@pytest.mark.parametrize("scope", ["global", "local"])
def test_no_plan_for_slices_is_refused(middle, scope):
    model = sliced(middle)
    x = sample(model)
    smallest = None
    for seed in range(10):
        scores = scored(model, seed)
        for keep in (0.1, 0.3, 0.5, 0.7):
            try:
                plan = kbp.select_channels(
                    model, scores=scores, keep=keep, cost="channels", scope=scope
                )
            except ValueError as error:
                assert str(error).startswith("Expected `keep`")
                continue
            kbp.prune(model, plan)
            smallest = smallest or plan
            break
    small = kbp.prune(model, smallest)
    assert small.count_params() < model.count_params()
    expected = outputs(zeroed(model, smallest), x)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5


def test_the_best_of_a_slice_stays():
    model = sliced(thrown_away)
    scores = scored(model)
    groups = kbp.graph.channel_groups(model)
    stem = groups.layers["stem"]
    scores[stem] = [9, 8, 7, 6, 0.1, 0.2]
    plan = kbp.select_channels(
        model, scores=scores, keep=0.3, cost="channels", scope="global"
    )
    kept = plan.channels["stem"].indices
    assert 5 in kept and 4 not in kept


def test_channels_first():
    first = {"data_format": "channels_first"}
    x = inputs = keras.Input((3, 6, 6))
    x = layers.Conv2D(6, 3, name="stem", **first)(x)
    a, b = parts(x, 1)
    b = layers.Conv2D(4, 1, name="b", **first)(b)
    x = layers.Concatenate(1)([a, b])
    model = keras.Model(inputs, layers.Conv2D(2, 1, **first)(x))
    for seed in range(10):
        plan = kbp.select_channels(
            model,
            scores=scored(model, seed),
            keep=0.35,
            cost="channels",
            scope="global",
        )
        small = kbp.prune(model, plan)
        stem = plan.channels["stem"].indices
        assert min(stem) < 2 <= max(stem)
        kernel = small.get_layer("b").kernel
        assert kernel.shape[2] == sum(index >= 2 for index in stem)


@pytest.mark.parametrize(
    ("limits", "least"),
    [({"min_kept": 3}, 3), ({"max_removed": 0.4}, 3), ({"round_to": 2}, 2)],
)
def test_limits_hold_for_layers_behind_a_slice(limits, least):
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(12, 3, name="stem")(x)
    first, rest = x[..., :4], x[..., 4:]
    first = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(first)
    x = layers.Concatenate()([first, rest])
    model = randomize(keras.Model(inputs, layers.Conv2D(2, 1)(x)))
    scores = scored(model)
    scores[kbp.graph.channel_groups(model).layers["stem"]] = np.arange(12)
    plan = kbp.select_channels(
        model,
        scores=scores,
        keep=0.7,
        cost="channels",
        limits=kbp.Limits(**limits),
        scope="global",
    )
    small = kbp.prune(model, plan)
    width = small.get_layer("depthwise").output.shape[-1]
    assert width == least  # the lowest scores are in the slice
    assert len(plan.channels["stem"].indices) % limits.get("round_to", 1) == 0


def test_a_slice_that_holds_nothing_is_no_obstacle():
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 3, name="stem")(x)
    x = layers.Concatenate()([x, x[..., 6:]])
    model = randomize(keras.Model(inputs, layers.Conv2D(2, 1)(x)))
    plan = kbp.select_channels(
        model, scores=scored(model), keep=0.5, cost="channels", scope="global"
    )
    x = sample(model)
    expected = outputs(zeroed(model, plan), x)
    small = kbp.prune(model, plan)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5


def test_where_no_channel_may_leave():
    x = inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 1)(x))
    assert (
        kbp.select_channels(
            model, scores=scored(model), keep=0.5, cost="channels", scope="global"
        )
        == kbp.Plan()
    )


def test_a_plan_of_ones_own_that_empties_a_slice_is_refused():
    model = sliced(joined)
    plan = kbp.Plan(channels={"stem": kbp.plans.Kept((0, 1), 6)})
    with pytest.raises(ValueError, match=r"keep a channel of every.*none of `get_item"):
        kbp.prune(model, plan)


def test_compress_of_a_model_with_slices(digits):
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(12, 3, activation="relu", name="stem")(x)
    a, b = x[..., :2], x[..., 2:]
    b = layers.Conv2D(16, 3, padding="same", activation="relu", name="b")(b)
    x = layers.GlobalMaxPooling2D()(layers.Concatenate()([a, b]))
    model = keras.Model(inputs, layers.Dense(10, "softmax", name="head")(x))
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*digits.train, epochs=3, verbose=0)
    result = kbp.compress(
        model,
        digits.train[0],
        digits.validation,
        max_drop=0.2,
        methods=["channels"],
        config=kbp.SearchOptions(samples=200, rounds=1),
        verbose=0,
    )
    assert result.met_budget and result.report.flops_ratio < 0.9
    (plan,) = result.plans
    assert plan.channels["stem"].total == 12
    assert not re.search("nan", str(result.report).lower())
