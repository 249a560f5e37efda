"""Holds that the expected cost of binary gates is the cost, and its gradient."""

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import array
from scaled_networks import dense

import keras_basisprune as kbp
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rules import registry
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure.expected_cost import ExpectedCost
from keras_basisprune.methods.channel_gates import channel_gates
from keras_basisprune.plan import Kept, Plan


def grouped():
    """Grouped, separable and transposed convolutions, and a residual one by itself."""
    x = inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", name="start")(x)
    x = keras.layers.Add()([x, keras.layers.Conv2D(8, 1, name="own")(x)])
    x = keras.layers.Conv2D(12, 3, groups=4, name="grouped")(x)
    x = keras.layers.SeparableConv2D(6, 3, depth_multiplier=2, name="separable")(x)
    x = keras.layers.Conv2DTranspose(5, 2, strides=2, name="transposed")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def sequence():
    """A recurrent layer, whose kernel has its own channels on both sides."""
    x = inputs = keras.Input((9, 4))
    x = keras.layers.Conv1D(6, 3, name="conv")(x)
    x = keras.layers.LSTM(5, return_sequences=True, name="lstm")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


MODELS = {**FAMILIES, "grouped": grouped, "sequence": sequence, "dense": dense}


def random_plan(model, seed):
    """Leaves channels out at random, but none where that would be the last."""
    groups, rng = kbp.graph.channel_groups(model), np.random.default_rng(seed)
    alive = rng.random(len(groups)) < rng.uniform(0.2, 0.9)
    alive[list(groups.pinned)] = True
    for of in groups.layers.values():
        if not alive[of].any():
            alive[of[0]] = True
    channels = {
        name: Kept(tuple(np.flatnonzero(alive[of])), len(of))
        for name, of in groups.layers.items()
        if not alive[of].all()
    }
    return alive, Plan(channels=channels)


@pytest.mark.parametrize("kind", ["flops", "params"])
@pytest.mark.parametrize("name", MODELS)
def test_exactly_the_cost_of_the_cut_network(name, kind):
    model = MODELS[name]()
    traced = trace(model)
    expected = ExpectedCost(traced, channel_map(traced), kind)
    whole = getattr(kbp.measure.cost(model), kind)
    assert expected.whole == whole
    for seed in range(4):
        alive, plan = random_plan(model, seed)
        wanted = getattr(kbp.measure.cost(kbp.prune(model, plan)), kind)
        assert wanted < whole
        assert expected(alive) == wanted
        gates = keras.ops.convert_to_tensor(alive.astype("float32"))
        np.testing.assert_allclose(
            float(array(expected.share(gates))), wanted / whole, rtol=1e-5
        )


def test_in_between_each_layer_is_charged_by_both_its_sides():
    """By hand: expected input channels times expected output channels."""
    model = FAMILIES["sequential"]()
    traced = trace(model)
    channels = channel_map(traced)
    groups = groups_of(traced, channels).layers
    expected = ExpectedCost(traced, channels, "flops")
    gates = np.ones(channels.count)
    gates[groups["a"]] = [0.5] * 4 + [0.25] * 4  # 3 of 8
    gates[groups["b"]] = 0.75  # 6 of 8
    a, b = 2 * 36 * 9 * 3 * 3, 2 * 9 * 9 * 3 * 6
    head = 2 * 9 * 6 * 4
    assert expected(gates) == a + b + head


def test_the_gradient_agrees_with_differences():
    model = FAMILIES["residual"]()
    traced = trace(model)
    channels = channel_map(traced)
    expected = ExpectedCost(traced, channels, "params")
    at = np.random.default_rng(0).uniform(0.2, 0.9, channels.count)

    class Gates(keras.layers.Layer):
        def build(self, shape):
            self.gates = self.add_weight(shape=(channels.count,), name="gates")
            self.gates.assign(at)

        def call(self, inputs):
            return keras.ops.reshape(expected.share(self.gates), (1, 1))

    inputs = keras.Input((1,))
    layer = Gates()
    trained = keras.Model(inputs, layer(inputs))
    trained.compile(keras.optimizers.SGD(1.0), lambda y, x: keras.ops.sum(x))
    trained.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
    found = at - array(layer.gates)
    steps = 1e-3 * np.eye(channels.count)
    wanted = [(expected(at + s) - expected(at - s)) / 2e-3 for s in steps]
    np.testing.assert_allclose(found, np.array(wanted) / expected.whole, atol=1e-6)
    assert np.max(wanted) > 0


@pytest.mark.parametrize("name", ["depthwise", "dense"])
def test_gates_cost_nothing_themselves(name):
    model = MODELS[name]()
    traced = trace(channel_gates(model))
    for kind in ("flops", "params"):
        found = ExpectedCost(traced, channel_map(traced), kind).whole
        assert found == getattr(kbp.measure.cost(model), kind)


def test_what_is_no_polynomial_is_refused():
    class Cubic(keras.layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight(shape=shape[-1:], name="gain")

        def call(self, inputs):
            return inputs * self.gain

    class CubicRule(kbp.graph.Rule):
        def cut(self, layer, kept_in, kept_out):
            return {}, {"gain": kept_in[0].take(layer.gain)}

        def flops(self, call, shapes):
            return shapes.inputs[0][-1] ** 3

    x = inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3, name="conv")(x)
    x = keras.layers.Conv2D(2, 3, name="last")(Cubic(name="cubic")(x))
    model = keras.Model(inputs, x)
    kbp.graph.channel_rule(Cubic)(CubicRule)
    try:
        traced = trace(model)
        with pytest.raises(ValueError, match="polynomial of second.*Received: `cubic`"):
            ExpectedCost(traced, channel_map(traced), "flops")
    finally:
        del registry._RULES[Cubic]


def test_unknown_sizes_are_refused():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    traced = trace(keras.Model(inputs, keras.layers.Dense(2)(x)))
    assert ExpectedCost(traced, channel_map(traced), "params").whole == 122
    with pytest.raises(ValueError, match="fixed input size to count FLOPs"):
        ExpectedCost(traced, channel_map(traced), "flops")
