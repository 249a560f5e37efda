"""Graphs that nobody thought of: pruned, they do what the oracle says."""

import keras
import numpy as np
import pytest
from channel_oracle import random_plan, zeroed
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from models import outputs, randomize, relative_difference, sample

import keras_basisprune as kbp


def convolution(draw, x, graph):
    layer = layers.Conv2D(
        draw(st.integers(1, 5)),
        draw(st.sampled_from([1, 3])),
        padding="same",
        activation=draw(st.sampled_from(["relu", "sigmoid", None])),
    )
    graph["shared"].append((x.shape[-1], layer))
    return layer(x)


def grouped(draw, x, graph):
    groups = draw(st.sampled_from([n for n in (1, 2, 3) if x.shape[-1] % n == 0]))
    filters = groups * draw(st.integers(1, 3))
    return layers.Conv2D(filters, 3, padding="same", groups=groups)(x)


def depthwise(draw, x, graph):
    multiplier = draw(st.integers(1, 2))
    return layers.DepthwiseConv2D(3, padding="same", depth_multiplier=multiplier)(x)


def shared(draw, x, graph):
    fitting = [layer for size, layer in graph["shared"] if size == x.shape[-1]]
    return draw(st.sampled_from(fitting))(x) if fitting else layers.ReLU()(x)


def normalized(draw, x, graph):
    return layers.ReLU()(layers.BatchNormalization()(x))


def added(draw, x, graph):
    other = draw(st.sampled_from(graph["maps"]))
    if other.shape[-1] != x.shape[-1]:
        other = layers.Conv2D(x.shape[-1], 1)(other)
    return layers.Add()([x, other])


def concatenated(draw, x, graph):
    return layers.Concatenate()([x, draw(st.sampled_from(graph["maps"]))])


def excited(draw, x, graph):
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Dense(draw(st.integers(1, 3)), activation="relu")(y)
    return layers.Multiply()([x, layers.Dense(x.shape[-1], "sigmoid")(y)])


def flattened(draw, x, graph):
    y = layers.Dense(2 * x.shape[-1])(layers.Flatten()(x))
    y = layers.Reshape((2, 1, x.shape[-1]))(y)
    return x * layers.UpSampling2D((x.shape[1] // 2, x.shape[2]))(y)


def sliced(draw, x, graph):
    """Two parts of the channels, each of them used in some way, or only one."""
    if x.shape[-1] < 2:
        return x
    place = draw(st.integers(1, x.shape[-1] - 1))
    parts = [x[..., :place], x[..., place - x.shape[-1] :]]
    kinds = [layers.ReLU, layers.BatchNormalization, lambda: layers.Conv2D(3, 1)]
    made = [draw(st.sampled_from(kinds))()(part) for part in parts]
    return layers.Concatenate()(made) if draw(st.booleans()) else made[1]


def sliced_in_groups(draw, x, graph):
    """Grouped, depthwise and added slices, which tie channels to each other."""
    y = layers.Conv2D(6, 1)(x)
    first, last = y[..., :2], y[..., -4:]
    kind = draw(st.sampled_from(["grouped", "depthwise", "added", "within"]))
    if kind == "grouped":
        last = layers.Conv2D(4, 3, padding="same", groups=2)(last)
    elif kind == "depthwise":
        last = layers.DepthwiseConv2D(3, padding="same")(last)
    elif kind == "added":
        last = last + layers.Concatenate()([first, last[..., 1:3]])
    else:
        last = last[..., 1:][..., -2:]
    return layers.Concatenate()([first, last])


STEPS = [
    convolution,
    convolution,
    grouped,
    depthwise,
    shared,
    normalized,
    added,
    concatenated,
    excited,
    flattened,
]
SLICES = [sliced, sliced, sliced_in_groups]


def random_model(draw, kinds=STEPS):
    inputs = keras.Input((4, 4, 2))
    graph = {"maps": [inputs], "shared": []}
    graph["maps"].append(convolution(draw, inputs, graph))
    for step in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=7)):
        x = graph["maps"][-draw(st.integers(1, 2))]
        graph["maps"].append(step(draw, x, graph))
    pool = draw(st.sampled_from([layers.Flatten, layers.GlobalAveragePooling2D]))
    return keras.Model(inputs, layers.Dense(2)(pool()(graph["maps"][-1])))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 9), share=st.sampled_from([0.2, 0.5, 0.8]))
def test_random_graphs(data, seed, share):
    model = randomize(random_model(data.draw), seed)
    plan = random_plan(model, seed, share)
    if not plan.channels:
        with pytest.raises(ValueError, match="Expected `model` to be a converted"):
            kbp.prune(model, plan)
        return
    x = sample(model, seed)
    expected = outputs(zeroed(model, plan), x)
    small = kbp.prune(model, plan)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5
    assert small.count_params() < model.count_params()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    data=st.data(),
    seed=st.integers(0, 99),
    limits=st.builds(
        kbp.Limits,
        min_kept=st.sampled_from([1, 1, 2]),
        round_to=st.sampled_from([1, 1, 2, 4]),
        max_removed=st.sampled_from([1.0, 1.0, 0.6]),
    ),
    scope=st.sampled_from(["global", "local"]),
)
def test_what_is_selected_can_be_pruned(data, seed, limits, scope):
    model = randomize(random_model(data.draw, [*STEPS, *SLICES, *SLICES]), seed)
    groups = kbp.graph.channel_groups(model)
    scores = np.random.default_rng(seed).random(len(groups))
    plan = smallest(model, scores, scope, limits)
    if not plan.channels:
        return
    small = kbp.prune(model, plan)
    x = sample(model, seed)
    expected = outputs(zeroed(model, plan), x)
    assert relative_difference(expected, outputs(small, x)) <= 1e-5
    for layer in small.layers:
        before = groups.layers.get(layer.name)
        if before is None or not layer.weights:
            continue
        width, most = layer.output.shape[-1], (1 - limits.max_removed) * len(before)
        assert width >= min(len(before), max(limits.min_kept, most - 1e-9))


def smallest(model, scores, scope, limits):
    """The plan for the smallest of some shares that can be reached."""
    for keep in (0.05, 0.2, 0.4, 0.6, 0.8):
        try:
            return kbp.select_channels(
                model,
                scores=scores,
                keep=keep,
                cost="channels",
                scope=scope,
                limits=limits,
            )
        except ValueError as error:
            assert str(error).startswith("Expected `keep`")
    return kbp.Plan()
