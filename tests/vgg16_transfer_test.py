"""The path of benchmarks/vgg16_transfer.py, on a small network and a few images."""

import keras
import numpy as np
import pytest
from benchmark_modules import benchmark

import keras_basisprune as kbp
from keras_basisprune.data.sources import ImageData

vgg16_transfer, _ = benchmark("vgg16_transfer")


def small_network():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for number, width in enumerate((8, 12)):
        x = keras.layers.Conv2D(
            width, 3, padding="same", activation="relu", name=f"conv{number}"
        )(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(2, activation="softmax", name="head")(x)
    return keras.Model(inputs, outputs)


@pytest.fixture
def data():
    """Dark and light images: a task for any head."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(40) % 2)
    images = rng.uniform(0, 100, (40, 8, 8, 3)) + 150 * labels[:, None, None, None]
    parts = [
        (images[s].astype("float32"), labels[s])
        for s in (slice(0, 20), slice(20, 30), slice(30, 40))
    ]
    return ImageData(*parts, ("dark", "light"), "random", "", ())


def test_every_row_is_a_network_and_cuts_leave_their_share(data, tmp_path):
    model = small_network()
    convolutions = [layer.get_weights() for layer in model.layers[2:4]]
    config = vgg16_transfer.Config(
        tune_epochs=1,
        scale_epochs=2,  # the threshold rises in the first
        samples=20,
        epochs=1,
        thresholds=(0.5,),
        keep=(0.5, 0.3),
        methods=("compensated_channels", "double_pruning"),
    )
    rows = vgg16_transfer.experiment(model, data, config, tmp_path)
    assert [row[0] for row in rows] == [
        "frozen convolutions",
        "all weights fine-tuned",
        "closed form, 50.0% kept, as cut",
        "closed form, 50.0% kept, trained",
        "closed form, 30.0% kept, as cut",
        "closed form, 30.0% kept, trained",
        "paper, threshold 0.5",
    ]
    whole = kbp.measure.cost(model).params
    shares = [row[-1] / whole for row in rows]
    assert shares[:2] == [1, 1]
    assert max(shares[2:4]) <= 0.5
    assert max(shares[4:6]) <= 0.3
    assert shares[6] < 1
    assert rows[0][1] == 1.0  # the head alone tells dark from light
    plain = keras.models.load_model(tmp_path / "frozen.keras")
    for layer, before in zip(plain.layers[2:4], convolutions, strict=True):
        for now, then in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(now, then)
    again = vgg16_transfer.experiment(
        small_network(), data, vgg16_transfer.Config(ways=()), tmp_path
    )
    assert [row[1:] for row in again] == [row[1:] for row in rows[:2]]
