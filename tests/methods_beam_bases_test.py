"""Bases that are fitted shard by shard are those of a regression in memory."""

import os
import pathlib
import sys

import keras
import models
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.graph.fit_passes import fit_passes
from keras_basisprune.graph.on_beam.drawn_numbers import DrawnNumbers
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.methods._beam_bases import RegressionSums
from keras_basisprune.methods._original_targets import OriginalTargets
from keras_basisprune.methods._regression_calls import RegressionCalls
from keras_basisprune.scores.to_decompose import to_decompose, twin_of

HERE = pathlib.Path(__file__).resolve().parent
IMAGES = np.random.default_rng(0).integers(0, 256, (230, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module")
def model():
    """A chain, a sum of branches, a separable layer, one that is called twice.

    No layer has more than 128 inputs, where products in memory would be float32.
    """
    keras.utils.set_random_seed(2)
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    first = layers.Conv2D(12, 3, padding="same", activation="relu", name="one")(x)
    x = layers.Conv2D(10, 3, padding="same", use_bias=False, name="two")(first)
    x = layers.BatchNormalization(name="norm")(x)
    left = layers.Conv2D(8, 3, padding="same", name="left")(layers.ReLU()(x))
    right = layers.SeparableConv2D(8, 3, padding="same", name="right")(first)
    x = layers.ReLU()(layers.Add()([left, right]))
    shared = layers.Conv2D(8, 1, padding="same", activation="tanh", name="shared")
    x = layers.GlobalAveragePooling2D()(shared(shared(x)))
    return models.randomize(keras.Model(inputs, layers.Dense(4, name="head")(x)))


def source(folder, mode="multi_threading"):
    pipeline_options = pytest.importorskip("apache_beam.options.pipeline_options")
    words = ["--runner=DirectRunner", "--direct_num_workers=2"]
    options = pipeline_options.PipelineOptions(
        [*words, f"--direct_running_mode={mode}"]
    )
    np.save(folder / "images.npy", IMAGES.astype(np.uint8))
    given = {"options": options, "shard_size": 50, "retries": 0}
    return kbp.data.BeamSource(folder / "images.npy", work_dir=folder / "work", **given)


def assert_equal(one, two, tolerance):
    assert one.count_params() == two.count_params()
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


def test_layers_that_do_not_depend_on_each_other_share_a_pass(model):
    found = to_decompose(model, ["one", "two", "left", "right", "shared", "head"])
    calls = RegressionCalls(twin_of(model, found))
    tensors = {position: fit.tensors for position, fit in calls.fits.items()}
    groups = [
        sorted(calls.traced.calls[position].op.name for position in group)
        for group in fit_passes(calls.traced, tensors)
    ]
    # Of two branches of a sum, the later one makes up for the error of the other.
    branches = sorted(calls.fits, key=lambda p: len(calls.fits[p].tensors))
    later = calls.traced.calls[branches[-1]].op.name
    assert later in ("left", "right") and len(calls.fits[branches[-1]].tensors) == 2
    expected = {
        "left": [["one"], ["right", "two"], ["left"], ["head"]],
        "right": [["one"], ["two"], ["left"], ["right"], ["head"]],
    }
    assert groups == expected[later]


def test_sums_of_shards_are_those_of_all_samples(model):
    layers = ["one", "two", "left", "right"]
    twin = twin_of(model, to_decompose(model, layers))
    weights = [weight * np.float32(0.9) for weight in twin.model.get_weights()]
    batches = [[part] for part in np.split(IMAGES, [64, 128, 192])]
    calls = RegressionCalls(twin)
    known = OriginalTargets(calls.traced, calls.fits, batches)
    twin.model.set_weights(weights)
    calls = RegressionCalls(twin)  # which holds the kernels of now
    live = LiveValues(calls.traced, batches)
    sampling = DrawnNumbers([IMAGES]).sampling()
    start = RegressionSums(layers, len(IMAGES)).start
    sums = start(model, weights, list(calls.fits))
    drawn = sampling.of(batches[0])
    given = calls.traced, calls.fits, batches[:1]
    part = OriginalTargets(*given, drawn=drawn, of=sampling.samples)
    assert sampling.samples == len(IMAGES) and part.samples == known.samples
    first, *rest = [sums(arrays, sampling.of(arrays)) for arrays in batches[::-1]]
    assert sorted(first) == sorted(calls.fits) and len(first) == 4
    for position, fit in calls.fits.items():
        live.advance(position)
        expected = fit.sums(live, known, position, exact=True).together()
        for found in rest:
            first[position].merge(found[position])
        merged = first[position].together()
        assert merged.count == expected.count
        for field in ("mean", "covariance", "error", "cross", "variance"):
            one, two = getattr(merged, field), getattr(expected, field)
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-9 * np.abs(two).max())


def test_beam_gives_the_network_of_convert(model, tmp_path):
    found = kbp.convert(model, keep=0.5, data=source(tmp_path))
    expected = kbp.convert(model, keep=0.5, data=IMAGES, verbose=0)
    assert_equal(found, expected, 1e-5)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["model.keras"]


def test_workers_are_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu", name="one")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = models.randomize(keras.Model(inputs, keras.layers.Dense(3)(x)))
    given = {"rank": 3, "basis": "regression"}
    found = kbp.convert(model, data=source(tmp_path, "multi_processing"), **given)
    assert_equal(found, kbp.convert(model, data=IMAGES, verbose=0, **given), 1e-5)


def test_refusals(model, tmp_path):
    images = source(tmp_path)
    other = kbp.Plan(bases={"no": kbp.plans.Kept((0,), 2)})
    for given, told in (
        ({"rank": 0, "basis": "regression"}, "`rank`"),
        ({"keep": 2.0}, "`keep`"),
        ({"keep": 0.5, "include": "three"}, "`include` to match"),
        ({"rank": other, "basis": "regression"}, "`rank` to be a Plan that names"),
        ({"keep": 0.5, "basis": "weights"}, "`data` for the bases"),
    ):
        with pytest.raises(ValueError, match=told):
            kbp.convert(model, data=images, **given)
    assert not (tmp_path / "work").exists()
