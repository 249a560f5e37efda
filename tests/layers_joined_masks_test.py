"""Holds `JoinedMasks`: each channel times its own factor, whatever parts are read."""

import keras
import numpy as np
import pytest
from contract import hold_saved
from models import array, outputs, randomize, relative_difference

import keras_basisprune as kbp
from keras_basisprune.layers import ChannelGate, ChannelScaling, JoinedMasks


def joined(**kwargs):
    masks = [ChannelScaling(name=f"{name}_channel_scaling") for name in "ab"]
    layer = JoinedMasks(masks, [3, 2], name="joined", **kwargs)
    layer.build((None, 4, layer.width()))
    layer.part_0.scale.assign([1.0, 2.0, 3.0])
    layer.part_0.mask.assign([1.0, 0.0, 1.0])
    layer.part_1.scale.assign([-4.0, 5.0])
    return layer


@pytest.mark.parametrize(
    ("order", "parts", "factors"),
    [
        (None, None, [1, 0, 3, -4, 5]),
        (None, (0,), [1, 0, 3]),
        (None, (1, 0, 1), [-4, 5, 1, 0, 3, -4, 5]),
        (None, (-2, 1), [1, 1, -4, 5]),
        ((-1, 1, 0, 1), None, [1, -4, 5, 1, 0, 3, -4, 5]),
    ],
)
def test_factors_of_the_parts_of_an_input(order, parts, factors):
    layer, rng = joined(order=order), np.random.default_rng(0)
    factors = np.float32(factors)
    x = rng.normal(size=(2, 4, len(factors))).astype("float32")
    np.testing.assert_array_equal(array(layer(x, parts=parts)), x * factors)
    np.testing.assert_array_equal(layer.factors(parts), factors)
    np.testing.assert_array_equal(layer.unmasked(parts), factors != 0)
    assert layer.width(parts) == len(factors)
    assert np.isinf(layer.strength((-2, 1))).tolist() == [True, True, False, False]
    first = joined(order=order, data_format="channels_first")
    moved = np.moveaxis(x, -1, 1)
    wanted = np.moveaxis(x * factors, -1, 1)
    np.testing.assert_array_equal(array(first(moved, parts=parts)), wanted)
    np.testing.assert_array_equal(array(first(x[:, 0], parts=parts)), x[:, 0] * factors)


def test_gates_are_relaxed_in_training_only():
    gates = [ChannelGate(0.2, 2.0, name=f"{n}_channel_gate") for n in "ab"]
    layer = JoinedMasks(gates, [2, 1])
    layer.build((None, 3))
    layer.part_0.scale.assign([0.1, -0.1])
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(array(layer(x)), [[1, 0, 1]])
    passed = 1 / (1 + np.exp(-np.array([[0.5, -0.5, 5.0]])))
    np.testing.assert_allclose(array(layer(x, training=True)), passed, rtol=1e-6)
    np.testing.assert_array_equal(array(layer(x[:, :1], parts=(1,))), [[1]])


def network():
    """Dense layers that are read one by one, together, and beside others."""
    inputs = keras.Input((4,))
    a, b, c = (
        keras.layers.Dense(n, name=s)(inputs)
        for s, n in zip("abc", (3, 2, 4), strict=True)
    )
    layer = joined()
    x = keras.layers.Concatenate()([a, b])
    read = [
        keras.layers.Dense(5, "relu", name="both")(layer(x)),
        keras.layers.Dense(5, "relu", name="one")(layer(b, parts=(1,))),
        keras.layers.Dense(5, "relu", name="beside")(
            layer(keras.layers.Concatenate()([c, a]), parts=(-4, 0))
        ),
    ]
    x = keras.layers.Dense(2, name="head")(keras.layers.Add()(read))
    return randomize(keras.Model(inputs, x)), layer


def test_saved_pruned_and_folded(tmp_path):
    model, layer = network()
    layer.part_0.mask.assign([1.0, 0.0, 1.0])
    layer.part_1.mask.assign([0.0, 1.0])
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    hold_saved(model, x, tmp_path / "joined.keras")
    now = outputs(model, x)
    plan = kbp.Plan.from_masks(model)
    assert {n: k.indices for n, k in plan.channels.items()} == {"a": (0, 2), "b": (1,)}
    # `c` is not weighed, and leaves all the same if one says so.
    for more in ({}, {"c": kbp.plans.Kept((1, 3), 4)}):
        small = kbp.prune(model, kbp.Plan(channels={**plan.channels, **more}))
        small_layer = small.get_layer("joined")
        assert (small_layer.widths, small_layer.order) == ([2, 1], [0, 1])
        kept = array(layer.part_0.scale)[[0, 2]]
        np.testing.assert_array_equal(array(small_layer.part_0.scale), kept)
        after = outputs(small, x)
        assert (relative_difference(now, after) <= 1e-6) == (not more)
        hold_saved(small, x, tmp_path / "small.keras")
        folded = kbp.fold(small)
        assert relative_difference(after, outputs(folded, x)) <= 1e-6
        assert not any(isinstance(op, JoinedMasks) for op in folded.layers)


def test_rounded_up_masks_open_again():
    model, layer = network()
    layer.part_0.scale.assign([1.0, 2.0, 3.0])
    layer.part_0.mask.assign([0.0, 1.0, 0.0])
    layer.part_1.mask.assign([1.0, 1.0])
    small = kbp.prune(model, round_to=2)
    assert small.get_layer("joined").widths == [2, 2]
    np.testing.assert_array_equal(array(small.get_layer("joined").part_0.mask), [1, 1])
    np.testing.assert_array_equal(
        array(small.get_layer("joined").part_0.scale), [2.0, 3.0]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([ChannelScaling()], [2, 3]),
            "Expected `masks` and `widths` of the same leng",
        ),
        (([ChannelScaling()], [2], [-2]), r"`order` to name each part.*order=\[-2\]"),
        (
            ([keras.layers.ReLU()], [2]),
            "Expected `masks` to be layers that weigh.*ReLU",
        ),
        (([ChannelScaling()], [2], [0], "last"), "Expected `data_format` to be"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        JoinedMasks(*arguments)
