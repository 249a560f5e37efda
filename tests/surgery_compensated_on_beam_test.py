"""Corrections that are summed up shard by shard are those of `compensate`."""

import keras
import models
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.on_beam.drawn_numbers import DrawnNumbers
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.surgery._compensated_on_beam import (
    CompensationSums,
    correction_passes,
)
from keras_basisprune.surgery._compensation import Compensation
from keras_basisprune.surgery._original_outputs import OriginalOutputs
from keras_basisprune.surgery.prune import pruned_calls

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


def options():
    pipeline_options = pytest.importorskip("apache_beam.options.pipeline_options")
    words = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
    return pipeline_options.PipelineOptions(["--runner=DirectRunner", *words])


def on_beam(model, plan, source, folder, **given):
    ridge = given.pop("ridge", None)
    given = {"options": options(), "shard_size": 50, "retries": 0, **given}
    source = kbp.data.BeamSource(source, work_dir=folder, **given)
    return kbp.compensate(model, plan, source, ridge=ridge)


def assert_equal(one, two, tolerance=1e-4):
    assert one.count_params() == two.count_params()
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance * np.abs(b).max())


def test_layers_that_do_not_depend_on_each_other_share_a_pass(model):
    done = pruned_calls(model, kbp.Plan(channels={"one": kbp.plans.Kept((0, 2), 16)}))
    old = depth_first(done.traced)
    found = [
        [old.calls[p].op.name for p in group] for group in correction_passes(done, old)
    ]
    assert [sorted(group) for group in found] == [
        ["right", "two"],
        ["left"],
        ["shared"],
        ["head"],
    ]
    done = pruned_calls(
        model, kbp.Plan(channels={"left": kbp.plans.Kept(range(4), 10)})
    )
    old = depth_first(done.traced)
    found = [
        [old.calls[p].op.name for p in group] for group in correction_passes(done, old)
    ]
    assert found == [["shared"], ["head"]]  # nothing to correct before


def test_sums_of_shards_are_those_of_all_samples(model, plan):
    done = pruned_calls(model, plan)
    both = Compensation(done, exact=True)
    positions = correction_passes(done, both.old)[0]
    batches = [[part] for part in np.split(IMAGES, [64, 128, 192])]
    known = OriginalOutputs(done.traced, batches)
    live = LiveValues(both.new, batches)
    sampling = DrawnNumbers([IMAGES]).sampling()
    network = CompensationSums(plan.to_json(), np.float32)
    sums = network.start(model, done.model.get_weights(), positions)
    first, *rest = [sums(arrays, sampling.of(arrays)) for arrays in batches[::-1]]
    assert sorted(first) == sorted(positions)
    for position in positions:
        live.advance(position)
        expected = both.sums(position, live, known).together()
        for found in rest:
            first[position].merge(found[position])
        merged = first[position].together()
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


def test_refusals(model, plan, file, tmp_path):
    other = kbp.Plan(channels={"no": kbp.plans.Kept((0,), 2)})
    for given, told in (
        ({"plan": 3}, "`plan` to be"),
        ({"plan": other}, "`plan` to name"),
        ({"ridge": 0}, "`ridge`"),
        ({"source": "nowhere"}, "'nowhere'"),
    ):
        given = {"plan": plan, "source": file, **given}
        with pytest.raises(ValueError, match=told):
            on_beam(model, folder=tmp_path / "work", **given)
    assert not (tmp_path / "work").exists()
