"""Quantization-aware training: where it rounds, what trains, and errors."""

import keras
import numpy as np
import pytest
from by_interpreter import steps_apart
from keras import layers
from models import identical, outputs, randomize
from other_backend import run_on

import keras_basisprune as kbp
from keras_basisprune.layers import (
    FakeQuantize,
    FixedFakeQuantize,
    QuantizedWeights,
)


def images(count=32, size=8, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size, size, 3)).astype("float32")


def classifier():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, use_bias=False, name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def of_12_digits(scale):
    """The nearest number of 12 binary digits."""
    fraction, exponent = np.frexp(scale)
    return np.ldexp(np.round(fraction * 2**12), exponent - 12)


def rounded_by_numpy(values, low, high, steps=255):
    scale = of_12_digits((high - low) / steps)
    zero = np.round(-low / scale)
    places = np.clip(np.floor(values / scale + zero + 0.5), 0, steps)
    return (places - zero) * scale


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 6.0), (-1.0, 1.1), (-3.21, 0.4), (0, 255)]
)
def test_activations_equal_numpy(low, high):
    layer = FakeQuantize()
    layer.build((None, 5))
    layer.set_range(0, low, high)
    x = np.random.default_rng(0).uniform(1.2 * low, 1.2 * high, (40, 5))
    found = np.array(layer(x.astype("float32")))
    expected = rounded_by_numpy(x.astype("float32"), low, high)
    assert np.abs(found - expected).max() <= 1e-5 * (high - low)
    assert float(layer(np.zeros((1, 5)))[0, 0]) == 0.0
    fixed = FixedFakeQuantize(*layer.range())
    assert np.abs(np.array(fixed(x.astype("float32"))) - found).max() <= 1e-5 * high
    assert fixed.range() == pytest.approx(layer.range(), rel=1e-6)


def test_weights_have_a_scale_for_each_channel():
    layer = QuantizedWeights(layers.Conv2D(4, 3, use_bias=False))
    layer.build((None, 8, 8, 3))
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)) * [1, 10, 0.1, 0]
    layer.layer.kernel.assign(kernel)
    scale = of_12_digits(np.maximum(np.abs(kernel).max((0, 1, 2)), 1e-12) / 127)
    expected = np.round(kernel / scale) * scale
    assert np.abs(np.array(layer.rounded()) - expected).max() <= 1e-5
    x = images(2)
    other = layers.Conv2D(4, 3, use_bias=False)
    other.build((None, 8, 8, 3))
    other.kernel.assign(expected)
    assert np.abs(np.array(layer(x)) - np.array(other(x))).max() <= 1e-4


def test_the_bias_is_rounded_to_whole_products_of_scales():
    layer = QuantizedWeights(layers.Dense(1))
    layer.build((None, 1))
    layer.layer.kernel.assign([[127 / 128]])  # scale 1 / 128
    layer.layer.bias.assign([0.0123])
    zeros = np.zeros((1, 1))
    assert float(layer(zeros)[0, 0]) == pytest.approx(0.0123)
    found = layer(zeros, input_scale=keras.ops.array(0.5))
    assert float(found[0, 0]) == 3 / 256  # a multiple of 1 / 256


def test_ranges_follow_the_batches():
    layer = FakeQuantize(members=2, momentum=0.75)
    layer.build((None, 2))
    layer.set_range(0, 0.0, 4.0)
    layer.set_range(1, 0.0, 0.0)
    layer(np.array([[-2.0, 8.0]]), member=0, training=True)
    assert np.array(layer.low).tolist() == [-0.5, 0.0]
    assert np.array(layer.high).tolist() == [5.0, 0.0]
    layer(np.array([[-2.0, 8.0]]), member=None, training=True)
    layer(np.array([[-9.0, 9.0]]), member=1)
    assert np.array(layer.high).tolist() == [5.0, 0.0]
    assert layer.range()[1] - layer.range()[0] == pytest.approx(5.5, rel=2**-12)


def test_probabilities_are_not_rounded_while_training():
    network = kbp.quantize_aware(randomize(classifier()), images(), verbose=0)
    (now,), (training,) = (outputs(network, images(), t) for t in (False, True))
    assert np.array_equal(now * 256, np.round(now * 256))
    assert np.allclose(training.sum(-1), 1.0, atol=1e-6)
    assert not np.array_equal(training * 256, np.round(training * 256))


def test_concatenated_tensors_share_a_range():
    inputs = keras.Input((8, 8, 3))
    a, b = (layers.Conv2D(4, 1, name=name)(inputs) for name in "ab")
    x = layers.MaxPooling2D(2)(layers.Concatenate()([a, b]))
    x = layers.Conv2D(2, 1, name="c")(x)
    network = kbp.quantize_aware(keras.Model(inputs, x), images(), verbose=0)
    trained = [x for x in network.layers if isinstance(x, FakeQuantize)]
    assert [x.members for x in trained] == [2, 1]  # a and b; c


@pytest.mark.parametrize("ranges", ["moving", "learned"])
def test_fit_trains_weights_and_ranges(ranges):
    model = randomize(classifier())
    x, y = images(64), np.arange(64) % 3
    before = [np.array(w) for w in model.weights]
    network = kbp.quantize_aware(model, x, ranges=ranges, verbose=0)
    (layer,) = (w for w in network.layers if getattr(w, "name", "") == "conv")
    trained = [x for x in network.layers if isinstance(x, FakeQuantize)]
    start = [np.array(layer.layer.kernel), [x.range() for x in trained]]
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    losses = network.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(np.array(layer.layer.kernel) - start[0]).max() > 1e-3
    assert all(x.range() != was for x, was in zip(trained, start[1], strict=True))
    if ranges == "learned":
        assert any(np.abs(np.array(x.growth)).max() > 1e-4 for x in trained)
        assert np.abs(np.array(layer.growth)).max() > 1e-4
    assert identical([np.array(w) for w in model.weights], before)


def test_recover_brings_it_closer_to_the_float_network():
    model = randomize(classifier())
    x = images(256)
    network = kbp.quantize_aware(model, x, verbose=0)
    # Rounding of a damaged network: training has something to mend.
    head = next(layer for layer in network.layers if layer.name == "head")
    head.layer.kernel.assign(np.array(head.layer.kernel) * 0.5)
    before = np.abs(outputs(network, x)[0] - outputs(model, x)[0]).mean()
    config = kbp.Recovery(epochs=8, learning_rate=0.02)
    history = kbp.recover(network, x, teacher=model, config=config, verbose=0)
    after = np.abs(outputs(network, x)[0] - outputs(model, x)[0]).mean()
    assert after < 0.7 * before
    assert history.history["val_loss"][-1] < history.history["val_loss"][0]


def test_uint8_images():
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = layers.Conv2D(4, 3, name="conv")(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    x = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype="uint8")
    network = kbp.quantize_aware(model, x, verbose=0)
    (was,), (now,) = outputs(model, x), outputs(network, x)
    assert np.abs(now - was).max() <= 0.05 * np.abs(was).max()
    network = kbp.quantize_aware(model, x, rounding="nearest", verbose=0)
    (folded,) = outputs(kbp.fold(network), x)
    # Biases are corrected for the rounding of kernels.
    assert np.abs(folded - was).max() <= 5e-3 * np.abs(was).max()


def test_shared_nested_and_several():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="c")])
    first, second = keras.Input((8, 8, 3), name="a"), keras.Input((8, 8, 3), name="b")
    x, y = inner(first), inner(second)
    z = layers.Add()([x, y])
    model = keras.Model({"a": first, "b": second}, {"z": z, "x": layers.ReLU()(x)})
    data = {"a": images(16), "b": 2 * images(16, seed=2)}
    network = kbp.quantize_aware(model, data, verbose=0)
    assert sum(isinstance(x, QuantizedWeights) for x in network.layers) == 1
    was, now = outputs(model, data), outputs(network, data)
    for a, b in zip(was, now, strict=True):
        assert 0 < np.abs(a - b).max() <= 0.05 * np.abs(a).max()


def test_bad_arguments():
    with pytest.raises(ValueError, match="`ranges` to be 'moving' or 'learned'"):
        kbp.quantize_aware(classifier(), images(), ranges="fixed")
    with pytest.raises(ValueError, match="`model` to be a built Functional"):
        kbp.quantize_aware(keras.layers.Dense(1), images())
    with pytest.raises(ValueError, match="data"):
        kbp.quantize_aware(classifier(), images(size=9))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_trained_on_another_backend_and_exported(backend, tmp_path):
    model, x = randomize(classifier()), images()
    model.save(tmp_path / "float.keras")
    np.save(tmp_path / "images.npy", x)
    run_on(backend, "quantize_backend_steps.py", tmp_path)
    with np.load(tmp_path / "outputs.npz") as file:
        found = dict(file)
    for ranges in ("moving", "learned"):
        network = kbp.quantize_aware(model, x, ranges=ranges, verbose=0)
        before, after = found[f"{ranges}_before"], found[f"{ranges}_after"]
        assert np.abs(network.predict(x, verbose=0) - before).max() <= 1.5 / 256
        trained = keras.models.load_model(tmp_path / f"{ranges}.keras")
        assert np.abs(trained.predict(x, verbose=0) - after).max() <= 1.5 / 256
        assert np.abs(after - before).max() > 1.5 / 256
        kbp.export_tflite(trained, tmp_path / "int8.tflite", samples=x)
        largest, same = steps_apart(tmp_path / "int8.tflite", x, after)
        assert largest <= 2
        assert same >= 0.995


@pytest.mark.parametrize("kind", ["conv", "depthwise", "dense"])
def test_means_of_outputs_are_kept(kind):
    made = {
        "conv": lambda: layers.Conv2D(7, 3, padding="valid"),
        "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        "dense": lambda: layers.Dense(7),
    }[kind]()
    inputs = keras.Input((8, 8, 3))
    model = randomize(keras.Model(inputs, made(inputs)))
    # The same value everywhere: means of patches are means of inputs.
    x = np.ones((4, 8, 8, 3), "float32") * np.array([1.0, 2.0, 3.0], "float32")
    given = {"weight_bits": 4, "rounding": "nearest"}
    network = kbp.quantize_aware(model, x, **given, verbose=0)
    last = next(x for x in network.layers if isinstance(x, QuantizedWeights))
    inner = keras.Model(network.input, last.output)
    was, now = outputs(model, x)[0], outputs(inner, x)[0]
    plain = outputs(kbp.fold(network), x)[0]
    assert np.abs(now - was).max() <= 0.02 * np.abs(was).max()
    if kind != "depthwise":  # its kernel keeps 8 bits
        assert np.abs(now - was).max() < 0.3 * np.abs(plain - was).max()


def test_gradients_pass_in_inference_as_while_training():
    """Rounding to integers is not in their way."""
    tf = pytest.importorskip("tensorflow")
    keras.utils.set_random_seed(0)
    model = randomize(classifier())
    x = images()
    network = kbp.quantize_aware(model, x, verbose=0)
    conv = next(layer for layer in network.layers if layer.name == "conv")

    def gradient(training):
        before = network.get_layer("head")
        part = keras.Model(network.inputs, before.input[0])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(part(x, training=training) ** 2)
        return np.array(tape.gradient(loss, conv.layer.kernel.value))

    still, moved = gradient(False), gradient(True)
    # Values that are rounded to zero before a ReLU pass none in inference.
    lengths = np.linalg.norm(still) * np.linalg.norm(moved)
    assert np.sum(still * moved) > 0.97 * lengths > 0
