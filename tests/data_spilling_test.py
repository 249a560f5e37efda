"""Layers fitted on streams, and on more than fits into memory: nothing changes."""

import os

import keras
import numpy as np
import pytest
from keras import layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune.data.spilling import current_spill


@pytest.fixture(scope="module")
def model():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", name="one")(x)
    x = shortcut = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="two")(x)
    x = layers.BatchNormalization()(layers.Conv2D(8, 1, name="three")(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, shortcut]))
    outputs = layers.Dense(4, activation="softmax", name="head")(x)
    return randomize(keras.Model(inputs, outputs))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((150, 8, 8, 3)).astype("float32")


class Stream(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return -(-len(self.images) // 32)

    def __getitem__(self, index):
        part = self.images[32 * index : 32 * index + 32]
        return part, np.zeros(len(part))


def compensated(model, data):
    scores = kbp.scores.channels.compensated(model, data)
    plan = kbp.select_channels(model, keep=0.6, scores=scores)
    return [scores, *kbp.compensate(model, plan, data, verbose=0).get_weights()]


def regression(model, data):
    return kbp.convert(model, keep=0.5, data=data, verbose=0).get_weights()


def activations(model, data):
    return kbp.convert(model, keep=0.5, basis="activations", data=data).get_weights()


def recalibrated(model, data):
    return kbp.surgery.recalibrate(model, data, verbose=0).get_weights()


def curves(model, data):
    found = kbp.sensitivity(model, data, what="both", shares=(0.7, 0.3), verbose=0)
    return [np.array(curve.losses) for curve in found.curves]


FITS = [compensated, regression, activations, recalibrated, curves]


@pytest.mark.parametrize("fit", FITS)
def test_nothing_changes_on_disk(model, images, tmp_path, fit):
    expected = fit(model, images)
    with kbp.data.spilling(memory=0, folder=tmp_path):
        found = fit(model, images)
        streamed = fit(model, Stream(images))
        spill = current_spill()
    for one, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, wanted)
    for one, wanted in zip(streamed, expected, strict=True):
        finite = np.isfinite(wanted)
        off = 2e-4 * np.abs(wanted[finite]).max(initial=1e-3)
        np.testing.assert_allclose(one[finite], wanted[finite], rtol=0, atol=off)
    assert (spill.in_memory, spill.on_disk, os.listdir(tmp_path)) == (0, 0, [])


def test_nothing_remains_after_an_error(model, images, tmp_path):
    bad = keras.models.clone_model(model)
    bad.set_weights(model.get_weights())
    bad.get_layer("two").bias.assign(np.full(8, 3e38))  # infinite further on
    bad.get_layer("three").kernel.assign(np.full((1, 1, 8, 8), 3e38))
    with kbp.data.spilling(memory=0, folder=tmp_path):
        spill = current_spill()
        for fit in (regression, recalibrated):
            with pytest.raises(ValueError, match="finite values on `data`") as error:
                fit(bad, Stream(images))
            del error
            assert (spill.in_memory, spill.on_disk) == (0, 0)
    with kbp.data.spilling(memory=0, disk=100_000, folder=tmp_path):
        with pytest.raises(ValueError, match="`disk`. Received: disk=100,000 bytes"):
            regression(model, Stream(images))
    assert os.listdir(tmp_path) == []
