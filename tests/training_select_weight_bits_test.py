"""4 bits for the layers that lose least by them, within a budget of bytes."""

import keras
import numpy as np
import pytest
from by_interpreter import classes, outputs
from keras import layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune.export.reading.operations import operations
from keras_basisprune.layers import QuantizedWeights
from keras_basisprune.training import select_weight_bits


def network():
    """A few layers of equal size, and others that can't have 4 bits."""
    x = inputs = keras.Input((8, 8, 1), name="images")
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(12, 3, activation="relu", name="first")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    for number in range(3):
        name = f"middle_{number}"
        x = layers.Conv2D(12, 3, padding="same", activation="relu", name=name)(x)
    x = layers.Conv2DTranspose(8, 2, activation="relu", name="up")(x)
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))


@pytest.fixture(scope="module")
def trained(digits):
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(*digits.train, epochs=6, verbose=0)
    return model


def exported(model, images, bits, path):
    rounded = kbp.quantize_aware(
        model, images, weight_bits=bits, ranges="learned", verbose=0
    )
    return kbp.export_tflite(rounded, path, tolerance=None).bytes


def divergence(wanted, found):
    found = np.maximum(found, 1 / 512)
    return float((wanted * np.log(np.maximum(wanted, 1e-9) / found)).sum(-1).mean())


def test_the_file_fits_and_loses_less_than_with_four_bits_everywhere(
    trained, digits, tmp_path
):
    images, labels = digits.validation
    few = digits.train[0][:200]
    sizes = {
        bits: exported(trained, few, bits, tmp_path / f"{bits}.tflite")
        for bits in (8, 4)
    }
    assert sizes[4] < sizes[8]
    budget = (sizes[4] + sizes[8]) // 2
    bits = select_weight_bits(trained, few, max_bytes=budget, verbose=0)
    names = {"first", "middle_0", "middle_1", "middle_2", "head"}
    assert set(bits) == names and set(bits.values()) == {4, 8}
    size = exported(trained, few, bits, tmp_path / "mixed.tflite")
    assert size == (tmp_path / "mixed.tflite").stat().st_size
    assert sizes[4] < size <= budget
    wanted = trained.predict(images, verbose=0)
    lost = {
        name: divergence(wanted, outputs(tmp_path / f"{name}.tflite", images))
        for name in ("8", "mixed", "4")
    }
    assert lost["8"] < lost["mixed"] < 0.7 * lost["4"]
    right = {
        name: np.mean(classes(tmp_path / f"{name}.tflite", images) == labels)
        for name in ("mixed", "4")
    }
    assert right["mixed"] >= right["4"] - 0.02
    kinds = [
        op.inputs[1].dtype
        for op in operations(tmp_path / "mixed.tflite")
        if op.name in ("CONV_2D", "FULLY_CONNECTED")
    ]
    assert kinds.count("INT4") == sum(value == 4 for value in bits.values())


def test_the_layer_that_loses_most_keeps_eight_bits(tmp_path):
    x = np.random.default_rng(0).normal(size=(24, 8, 8, 4)).astype("float32")
    inputs = keras.Input((8, 8, 4))
    maps = inputs
    for name in "abc":
        maps = layers.Conv2D(16, 3, padding="same", name=name)(maps)
    model = randomize(keras.Model(inputs, layers.GlobalAveragePooling2D()(maps)))
    kernel = np.array(model.get_layer("b").kernel)
    kernel[0, 0, 0] *= 40  # all others are less than half a step of 4 bits
    model.get_layer("b").kernel.assign(kernel)
    sizes = {
        bits: exported(model, x, bits, tmp_path / f"{bits}.tflite") for bits in (8, 4)
    }
    budget = sizes[4] + kernel.size // 2 + 200  # b or c may keep 8 bits
    bits = select_weight_bits(model, x, max_bytes=budget, verbose=0)
    assert bits["b"] == 8 and bits["c"] == 4
    assert exported(model, x, bits, tmp_path / "mixed.tflite") <= budget
    assert set(select_weight_bits(model, x, max_bytes=sizes[8]).values()) == {8}
    with pytest.raises(ValueError, match=f"`max_bytes` to be {sizes[4]} or more"):
        select_weight_bits(model, x, max_bytes=sizes[4] - 1)


def test_bits_by_name():
    model, x = randomize(network()), np.zeros((4, 8, 8, 1), "float32")
    few = {"middle_1": 4, "first": 8, "depthwise": 8}
    found = {
        layer.name: layer.bits
        for layer in kbp.quantize_aware(model, x, weight_bits=few, verbose=0).layers
        if isinstance(layer, QuantizedWeights) and layer.name in {*few, "head", "up"}
    }
    assert found == {"middle_1": 4, "first": 8, "depthwise": 8, "head": 8, "up": 8}
    everywhere = kbp.quantize_aware(model, x, weight_bits=4, verbose=0)
    eight = [
        layer.name
        for layer in everywhere.layers
        if isinstance(layer, QuantizedWeights) and layer.bits == 8
    ]
    assert {"depthwise", "up"} <= set(eight) and "head" not in eight


@pytest.mark.parametrize(
    ("bits", "told"),
    [
        ({"nothing": 4}, "`weight_bits` to name layers.*'nothing': 4.*'middle_0'"),
        ({"depthwise": 4}, "`weight_bits` to name layers.*'depthwise': 4"),
        ({"up": 4}, "`weight_bits` to name layers.*'up': 4"),
        ({"head": 5}, r"`weight_bits\['head'\]` to be 8 or 4"),
        ({"head": "4"}, r"`weight_bits\['head'\]` to be"),
        ("4", "`weight_bits` to be"),
    ],
)
def test_other_bits_are_refused(bits, told):
    x = np.zeros((4, 8, 8, 1), "float32")
    with pytest.raises(ValueError, match=told):
        kbp.quantize_aware(network(), x, weight_bits=bits, verbose=0)


def test_bad_arguments():
    x = np.zeros((4, 8, 8, 1), "float32")
    with pytest.raises(ValueError, match="`max_bytes`"):
        select_weight_bits(network(), x, max_bytes=1.5)
    with pytest.raises(ValueError, match="`model` to be a built Functional"):
        select_weight_bits(layers.Dense(1), x, max_bytes=10_000)
