"""Kernels that are rounded with compensated errors."""

import keras
import numpy as np
import pytest
from by_interpreter import steps_apart
from keras import layers
from models import identical, outputs, randomize

import keras_basisprune as kbp
from keras_basisprune.layers import QuantizedWeights

BOTH = ("nearest", "compensated")


def images(count=48, seed=1):
    """Images whose neighbouring pixels and channels are alike."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5, 5, 3)).repeat(2, 1).repeat(2, 2)
    x = x + x.mean(-1, keepdims=True) + 0.3 * rng.normal(size=x.shape)
    return x.astype("float32")


def network():
    x = inputs = keras.Input((10, 10, 3))
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="first")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.Conv2D(16, 1, activation="relu", name="mix")(x)
    y = layers.Conv2D(16, 3, padding="same", use_bias=False, name="no_bias")(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Conv2D(8, 3, padding="same", groups=2, activation="relu")(x)
    x = layers.Conv2DTranspose(8, 2, strides=2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(4, name="head")(x)))


def rounded(model, x, **given):
    return {
        name: kbp.quantize_aware(model, x, rounding=name, verbose=0, **given)
        for name in BOTH
    }


def distance(a, b):
    return np.mean((a - b) ** 2)


def of_layers(model):
    return [x for x in model.layers if isinstance(x, QuantizedWeights)]


@pytest.mark.parametrize("kind", ["conv", "no_bias", "depthwise", "dense"])
@pytest.mark.parametrize(
    ("bits", "ranges"), [(4, "learned"), (4, "moving"), (8, "moving")]
)
def test_one_layer_is_closer_to_the_original(kind, bits, ranges):
    made = {
        "conv": lambda: layers.Conv2D(7, 3),
        "no_bias": lambda: layers.Conv2D(7, 3, use_bias=False),
        "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        "dense": lambda: layers.Dense(7),
    }[kind]()
    inputs = keras.Input((10, 10, 3))
    model, x = randomize(keras.Model(inputs, made(inputs))), images()
    (wanted,) = outputs(model, x)
    found = {}
    given = {"weight_bits": bits, "ranges": ranges, "activation_bits": 16}
    for name, network in rounded(model, x, **given).items():
        (layer,) = of_layers(network)
        inner = keras.Model(network.input, layer.output)
        found[name] = distance(outputs(inner, x)[0], wanted)
    # Nine inputs of a depthwise convolution leave little to choose.
    share = 1.0 if kind == "depthwise" else 0.9
    assert found["compensated"] < share * found["nearest"]


@pytest.mark.parametrize(("bits", "ranges"), [(4, "learned"), (8, "moving")])
def test_kernels_are_on_the_grid(bits, ranges):
    networks = rounded(network(), images(), weight_bits=bits, ranges=ranges)
    changed = []
    for layer, other in zip(*map(of_layers, networks.values()), strict=True):
        kernel, before = np.array(other.layer.kernel), np.array(layer.layer.kernel)
        if np.array_equal(kernel, before):
            continue
        changed.append(type(other.layer).__name__)
        most = 2 ** (other.bits - 1) - 1
        axes = (0, 1) if "Depthwise" in changed[-1] else tuple(range(kernel.ndim - 1))
        scale = np.abs(kernel).max(axes, keepdims=True) / most
        numbers = kernel / scale
        assert np.abs(numbers - np.round(numbers)).max() < 1e-3
        assert np.abs(np.array(other.rounded()) - kernel).max() <= 1e-6
    assert changed == ["Conv2D", "DepthwiseConv2D", "Conv2D", "Conv2D", "Dense"]


@pytest.mark.parametrize(("bits", "ranges"), [(4, "learned"), (8, "moving")])
def test_the_network_is_closer_and_the_file_computes_the_same(bits, ranges, tmp_path):
    model, x = network(), images()
    others = images(seed=2)
    before = [np.array(w) for w in model.weights]
    (wanted,) = outputs(model, others)
    found, steps = {}, {}
    for name, one in rounded(model, x, weight_bits=bits, ranges=ranges).items():
        now = one.predict(others, verbose=0)
        found[name] = distance(now, wanted)
        path = tmp_path / f"{name}.tflite"
        kbp.export_tflite(one, path, tolerance=None)
        steps[name], same = steps_apart(path, others, now)
        assert same >= 0.95
    assert steps["compensated"] <= max(2.01, steps["nearest"])
    assert found["compensated"] < 0.85 * found["nearest"]
    assert identical([np.array(w) for w in model.weights], before)


def test_streams_and_arrays_give_the_same():
    model, x = network(), images()
    stream = (batch for batch in np.split(x, 3))
    one, other = (kbp.quantize_aware(model, d, verbose=0) for d in (x, stream))
    (a,), (b,) = outputs(one, x), outputs(other, x)
    assert np.abs(a - b).max() <= 0.02 * np.abs(a).max()
    again = kbp.quantize_aware(model, x, verbose=0)
    assert identical(one.get_weights(), again.get_weights())


def test_one_sample_suffices():
    model, x = network(), images()
    one = kbp.quantize_aware(model, x, samples=1, verbose=0)
    (wanted,), (now,) = outputs(model, x[:1]), outputs(one, x[:1])
    assert np.abs(now - wanted).max() <= 0.1 * np.abs(wanted).max()


def test_bad_rounding():
    with pytest.raises(ValueError, match="`rounding` to be 'compensated' or 'nearest'"):
        kbp.quantize_aware(network(), images(), rounding="up")
