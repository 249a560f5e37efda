"""Corrections that are summed up shard by shard are those of `compensate`."""

import os
import pathlib
import sys

import keras
import models
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import sample_folds
from keras_basisprune.surgery._compensation import Compensation
from keras_basisprune.surgery._original_outputs import OriginalOutputs
from keras_basisprune.surgery.on_beam._layer_work import (
    DrawnNumbers,
    SumUp,
    write_weights,
)
from keras_basisprune.surgery.on_beam._passes import passes
from keras_basisprune.surgery.prune import pruned_calls

HERE = pathlib.Path(__file__).resolve().parent
IMAGES = np.random.default_rng(0).integers(0, 256, (230, 8, 8, 3)).astype("float32")


def residual():
    """A chain, a sum of two branches, a layer called twice, and one without bias."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    first = layers.Conv2D(16, 3, padding="same", activation="relu", name="one")(x)
    x = layers.Conv2D(12, 3, padding="same", use_bias=False, name="two")(first)
    x = layers.BatchNormalization(name="norm")(x)
    left = layers.Conv2D(10, 3, padding="same", name="left")(layers.ReLU()(x))
    right = layers.SeparableConv2D(10, 3, padding="same", name="right")(first)
    x = layers.ReLU()(layers.Add()([left, right]))
    shared = layers.Conv2D(10, 1, padding="same", activation="tanh", name="shared")
    x = layers.GlobalAveragePooling2D()(shared(shared(x)))
    return models.randomize(keras.Model(inputs, layers.Dense(4, name="head")(x)))


@pytest.fixture(scope="module")
def model():
    return residual()


@pytest.fixture(scope="module")
def plan(model):
    return kbp.select_channels(model, keep=0.6)


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES.astype(np.uint8))
    return tmp_path / "images.npy"


def options(mode="in_memory"):
    pipeline_options = pytest.importorskip("apache_beam.options.pipeline_options")
    words = ["--runner=DirectRunner", "--direct_num_workers=2"]
    return pipeline_options.PipelineOptions([*words, f"--direct_running_mode={mode}"])


def on_beam(model, plan, source, folder, **given):
    given = {"options": options(), "shard_size": 50, "retries": 0, **given}
    return kbp.surgery.compensate_on_beam(model, plan, source, work_dir=folder, **given)


def assert_equal(one, two, tolerance=1e-4):
    assert one.count_params() == two.count_params()
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


def test_layers_that_do_not_depend_on_each_other_share_a_pass(model):
    done = pruned_calls(model, kbp.Plan(channels={"one": kbp.plans.Kept((0, 2), 16)}))
    calls = depth_first(done.traced).calls
    found = [[calls[p].op.name for p in group] for group in passes(done, calls)]
    assert [sorted(group) for group in found] == [
        ["right", "two"],
        ["left"],
        ["shared"],
        ["head"],
    ]
    done = pruned_calls(
        model, kbp.Plan(channels={"left": kbp.plans.Kept(range(4), 10)})
    )
    calls = depth_first(done.traced).calls
    found = [[calls[p].op.name for p in group] for group in passes(done, calls)]
    assert found == [["shared"], ["head"]]  # nothing to correct before


def test_folds_are_those_of_samples_in_memory():
    arrays = [np.split(IMAGES, [10, 100])]
    batches = [[part] for part in arrays[0]]
    folds = np.concatenate(sample_folds(batches))
    from keras_basisprune.graph.position_jitter import position_jitter

    drawn = [position_jitter(part, 1)[:, 0] for part in batches]
    limits = sum(map(DrawnNumbers, drawn[1:]), start=DrawnNumbers(drawn[0])).limits()
    found = np.searchsorted(limits, np.concatenate(drawn), side="right")
    np.testing.assert_array_equal(found, folds)
    assert np.bincount(folds).tolist() == [46] * 5


def test_sums_of_shards_are_those_of_all_samples(model, plan, tmp_path):
    class File:
        def load(self):
            return model

    done = pruned_calls(model, plan)
    write_weights(tmp_path / "pruned.npz", done.model)
    both = Compensation(done, exact=True)
    positions = tuple(passes(done, both.old.calls)[0])
    batches = [[part] for part in np.split(IMAGES, [64, 128, 192])]
    known = OriginalOutputs(done.traced, batches)
    live = LiveValues(both.new, batches)
    drawn = DrawnNumbers(np.zeros(0, np.float32))
    from keras_basisprune.graph.position_jitter import position_jitter

    drawn = DrawnNumbers(position_jitter([IMAGES], 1)[:, 0])
    given = "pruned.npz", positions, MapPositions.most(230), drawn.limits(), "float32"
    given = str(tmp_path / given[0]), *given[1:]
    add = SumUp(File(), plan.to_json(), *given).start()
    found = add(batches[2:]) + add(batches[:1]) + add(batches[1:2])
    assert sorted(found.folds) == sorted(positions)
    for position in positions:
        live.advance(position)
        expected = both.sums(position, live, known).together()
        merged = found.folds[position].together()
        assert merged.count == expected.count
        for field in ("mean", "covariance", "error", "cross", "variance"):
            one, two = getattr(merged, field), getattr(expected, field)
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-9 * np.abs(two).max())


@pytest.mark.parametrize("ridge", [None, 0.01])
def test_beam_gives_the_network_of_compensate(model, plan, file, tmp_path, ridge):
    found = on_beam(model, plan, file, tmp_path / "work", ridge=ridge)
    expected = kbp.compensate(model, plan, IMAGES, ridge=ridge, verbose=0)
    assert_equal(found, expected)
    names = [path.name for path in (tmp_path / "work").iterdir()]
    assert names == ["model.keras"]
    # And is better than one that is only pruned.
    before = models.outputs(model, IMAGES)
    pruned = models.outputs(kbp.prune(model, plan), IMAGES)
    after = models.outputs(found, IMAGES)
    assert models.relative_difference(before, after) < 0.7 * (
        models.relative_difference(before, pruned)
    )


def test_workers_are_processes(file, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *sys.path]))
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu", name="one")(inputs)
    x = keras.layers.Flatten()(x)
    model = models.randomize(keras.Model(inputs, keras.layers.Dense(3)(x)))
    plan = kbp.Plan(channels={"one": kbp.plans.Kept((0, 3, 4, 7), 8)})
    found = on_beam(
        model, plan, file, tmp_path / "work", options=options("multi_processing")
    )
    assert_equal(found, kbp.compensate(model, plan, IMAGES, verbose=0))


def test_refusals(model, plan, file, tmp_path, monkeypatch):
    options()
    for given, told in (
        ({"plan": 3}, "`plan` to be"),
        (
            {"plan": kbp.Plan(channels={"no": kbp.plans.Kept((0,), 2)})},
            "`plan` to name",
        ),
        ({"ridge": 0}, "`ridge`"),
        ({"source": "nowhere"}, "'nowhere'"),
        ({"shard_size": 0}, "`shard_size`"),
    ):
        given = {"plan": plan, "source": file, "work_dir": tmp_path / "work", **given}
        with pytest.raises(ValueError, match=told):
            kbp.surgery.compensate_on_beam(model, **given)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match="compensate_on_beam needs Apache Beam"):
        on_beam(model, plan, file, tmp_path / "work", options=None)
    assert not (tmp_path / "work").exists()
