"""Holds that `fresh` gives the architecture of a plan, with weights drawn by a seed."""

import random

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import array, identical, outputs, sample

import keras_basisprune as kbp
from keras_basisprune.methods.channel_gates import channel_gates
from keras_basisprune.surgery import fresh


def half(model):
    """A plan that keeps about half of the FLOPs."""
    scores = kbp.scores.channels.l2_norm(model)
    return kbp.select_channels(model, keep=0.5, scores=scores)


def weights(model):
    return [array(weight) for weight in model.weights]


@pytest.mark.parametrize("family", FAMILIES)
def test_as_wide_as_pruned_and_drawn_by_the_seed(family):
    model = FAMILIES[family]()
    plan, x = half(model), sample(model)
    before, state = outputs(model, x), weights(model)
    pruned = kbp.prune(model, plan)
    new, same, other = (fresh(model, plan, seed) for seed in (1, 1, 2))
    assert [w.shape for w in weights(new)] == [w.shape for w in weights(pruned)]
    assert [x.name for x in new.layers] == [x.name for x in pruned.layers]
    assert kbp.measure.cost(new) == kbp.measure.cost(pruned)
    assert identical(weights(new), weights(same))
    assert identical(outputs(new, x), outputs(same, x))
    for one, another, old in zip(*map(weights, (new, other, pruned)), strict=True):
        if one.ndim > 1:  # a kernel
            assert not np.isclose(one, another).any()
            assert not np.isclose(one, old).any()
            assert abs(one.mean()) < 0.3
            assert 0.01 < one.std() < 1.0
        else:  # as initializers have it: zeros or ones
            assert set(np.unique(one)) <= {0.0, 1.0}
    assert identical(outputs(model, x), before)
    assert identical(weights(model), state)


def test_the_global_state_of_python_and_numpy_stays():
    model = FAMILIES["sequential"]()
    random.seed(5)
    np.random.seed(5)
    wanted = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    fresh(model, half(model), seed=3)
    assert (random.random(), np.random.random()) == wanted


def test_seeds_of_initializers_and_frozen_layers_don_t_hold_it_back():
    x = inputs = keras.Input((6, 6, 2))
    seeded = keras.initializers.GlorotUniform(seed=4)
    for name in ("a", "b"):
        conv = keras.layers.Conv2D(6, 3, kernel_initializer=seeded, name=name)
        x = conv(x)
    x = keras.layers.Reshape((4, 6))(x)
    lstm = keras.layers.LSTM(3, recurrent_initializer=seeded, name="lstm")
    x = keras.layers.Bidirectional(lstm, name="both")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.trainable = False
    one, other = (fresh(model, kbp.Plan(), seed) for seed in (0, 1))
    kernels = [array(m.get_layer(n).kernel) for m in (one, other) for n in ("a", "b")]
    cells = [array(m.get_layer("both").weights[1]) for m in (one, other)]
    for first, second in (kernels[::2], kernels[1::2], cells):
        assert not np.isclose(first, second).all()
    assert len(one.trainable_weights) == len(one.weights) == 12


def test_what_was_measured_of_the_data_stays():
    inputs = keras.Input((5, 5, 3))
    normal = keras.layers.Normalization(name="normal")
    x = normal(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    data = np.random.default_rng(0).normal(3.0, 2.0, (50, 5, 5, 3)).astype("float32")
    normal.adapt(data)
    plan = kbp.Plan(channels={"conv": kbp.plans.Kept((0, 2), 4)})
    new = fresh(model, plan, 0)
    wanted = (data - data.mean((0, 1, 2))) / data.std((0, 1, 2))
    np.testing.assert_allclose(array(new.get_layer("normal")(data)), wanted, atol=1e-5)
    assert new.get_layer("conv").kernel.shape == (3, 3, 3, 2)


def test_gates_are_left_out():
    model = FAMILIES["residual"]()
    gated, plan = channel_gates(model), half(model)
    one, other = fresh(model, plan, 7), fresh(gated, plan, 7)
    assert [x.name for x in one.layers] == [x.name for x in other.layers]
    assert identical(weights(one), weights(other))


def test_errors():
    model, other = FAMILIES["sequential"](), FAMILIES["residual"]()
    with pytest.raises(ValueError, match="Expected `plan` to name layers of `model`"):
        fresh(other, half(model), 0)
    with pytest.raises(ValueError, match="Expected `plan` to be a .*Plan`. Received"):
        fresh(model, {"a": 3}, 0)
    with pytest.raises(ValueError, match=r"Expected `seed` .* Received: seed=-1"):
        fresh(model, half(model), -1)
    with pytest.raises(ValueError, match="without bases.*Pass the model before"):
        fresh(kbp.convert(model), kbp.Plan(), 0)
    with pytest.raises(ValueError, match="Expected `model` to be a built Functional"):
        fresh(None, kbp.Plan(), 0)
