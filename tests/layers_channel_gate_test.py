"""Holds `ChannelGate`: binary in inference, and the gradient of a high temperature."""

import keras
import numpy as np
import pytest
from models import array, identical, outputs

from keras_basisprune.layers import ChannelGate


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def built(logits, mask=None, **kwargs):
    gate = ChannelGate(name="conv_channel_gate", **kwargs)
    gate.build((None, len(logits)))
    gate.scale.assign(logits)
    if mask is not None:
        gate.mask.assign(mask)
    return gate


def test_binary_in_inference_and_nearly_so_in_training():
    logits = [-2.0, -0.1, 0.05, 0.0, 3.0]
    gate = built(logits, mask=[1, 1, 1, 1, 0], low=0.1, high=2.0)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    np.testing.assert_array_equal(array(gate(x)), x * np.float32([0, 0, 1, 0, 0]))
    passed = sigmoid(np.array(logits) / 0.1) * [1, 1, 1, 1, 0]
    np.testing.assert_allclose(array(gate(x, training=True)), x * passed, atol=1e-6)
    np.testing.assert_array_equal(gate.factors(), [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(gate.unmasked(), [False, False, True, False, False])
    order = np.argsort(gate.strength())
    np.testing.assert_array_equal(order, np.argsort(logits))
    assert gate.strength().dtype == np.float64
    assert (gate.strength() >= 0).all()
    assert gate.weighs == ("channels", "conv")
    assert ChannelGate.name_for("conv") == gate.name


def test_channels_first_and_maps_of_all_ranks():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    first = built([1.0, -1.0, 1.0], data_format="channels_first")
    wanted = x * np.float32([1, 0, 1])[:, None, None]
    np.testing.assert_array_equal(array(first(x)), wanted)
    np.testing.assert_array_equal(array(first(x[..., 0, 0])), wanted[..., 0, 0])
    moved = array(built([1.0, -1.0, 1.0])(np.moveaxis(x, 1, -1)))
    np.testing.assert_array_equal(np.moveaxis(moved, -1, 1), wanted)


def network(low, high, logits, mask):
    """Only the gates train."""
    x = inputs = keras.Input((4,))
    x = keras.layers.Dense(6, "tanh", name="a", trainable=False)(x)
    gate = ChannelGate(low, high, name="a_channel_gate")
    x = keras.layers.Dense(3, name="b", trainable=False)(gate(x))
    model = keras.Model(inputs, x)
    gate.scale.assign(logits)
    gate.mask.assign(mask)
    return model, gate


@pytest.mark.parametrize(("low", "high"), [(0.1, 1.0), (0.5, 0.5), (0.2, 3.0)])
def test_the_gradient_agrees_with_finite_differences_of_the_relaxed_loss(low, high):
    rng = np.random.default_rng(1)
    logits, mask = rng.normal(size=6), np.array([1, 1, 0, 1, 1, 1.0])
    model, gate = network(low, high, logits, mask)
    x, y = (rng.normal(size=(8, n)).astype("float32") for n in (4, 3))
    at = array(gate.scale).astype("float64")

    kernels = [array(w).astype("float64") for w in model.get_layer("a").weights]
    heads = [array(w).astype("float64") for w in model.get_layer("b").weights]

    def relaxed(moved):
        """The loss whose gates move as those of the high temperature."""
        gates = sigmoid(at / low) + sigmoid(moved / high) - sigmoid(at / high)
        hidden = np.tanh(x @ kernels[0] + kernels[1]) * gates * mask
        return np.mean((hidden @ heads[0] + heads[1] - y) ** 2)

    steps = 1e-5 * np.eye(6)
    wanted = np.array([(relaxed(at + s) - relaxed(at - s)) / 2e-5 for s in steps])
    model.compile(keras.optimizers.SGD(1.0), "mse")  # its step is the gradient
    loss = model.train_on_batch(x, y)
    np.testing.assert_allclose(float(loss), relaxed(at), rtol=1e-5)
    found = at - array(gate.scale)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert found[2] == 0.0  # masked
    assert np.abs(wanted).max() > 1e-3


def test_saved_and_loaded(tmp_path):
    model, gate = network(0.2, 2.0, [1, -1, 2, -2, 0.5, 1], np.ones(6))
    model.save(tmp_path / "gated.keras")
    loaded = keras.saving.load_model(tmp_path / "gated.keras")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    for training in (False, True):
        assert identical(outputs(model, x, training), outputs(loaded, x, training))
    again = loaded.get_layer("a_channel_gate")
    assert (again.low, again.high, again.data_format) == (0.2, 2.0, gate.data_format)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.0}, "Expected `low` to be a finite number > 0. Received: low=0.0"),
        ({"high": 0.01}, "Expected `high` to be a number >= `low`. Received: high=0.0"),
        ({"low": float("nan")}, "Expected `low`.*low=nan. Start with"),
        ({"data_format": "last"}, "Expected `data_format` to be 'channels_last'"),
        ({"l1": -1.0}, "Expected `l1` to be a finite number >= 0"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ChannelGate(**arguments)


def test_an_unknown_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="known number of channels. Received: input_s"):
        ChannelGate().build((None, 4, None))
