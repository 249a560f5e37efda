"""Sums over parts of the data, in one process and in several, give those of all."""

import pickle

import keras
import models
import numpy as np
import pytest

import keras_basisprune as kbp
from keras_basisprune.linalg import Moments, RidgeFolds

IMAGES = np.random.default_rng(3).integers(0, 256, (300, 10, 10, 3)).astype("float32")


def network():
    """Wider than 128 channels, where products of memory would be float32."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((10, 10, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(130, 3, padding="same", activation="relu", name="one")(x)
    x = keras.layers.Conv2D(20, 3, use_bias=False, name="two")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    outputs = keras.layers.Dense(4, activation="softmax")(x)
    return models.randomize(keras.Model(inputs, outputs))


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def whole(model):
    return kbp.scores.summarize_outputs(model, IMAGES, verbose=0)


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES.astype(np.uint8))
    return tmp_path / "images.npy"


def assert_equal(found, expected, tolerance=1e-9):
    assert found.count == expected.count and found.model == expected.model
    assert [*found.moments] == [*expected.moments]
    for name in expected.moments:
        for what in ("mean", "covariance"):
            one, two = getattr(found, what)(name), getattr(expected, what)(name)
            scale = np.abs(two).max()
            np.testing.assert_allclose(one, two, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("size", [5, 140])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_moments_merge_to_those_of_all_samples(size, mean):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((600, size)) + mean
    others = values[:, :3] ** 2
    others[:, 2] = 7.0
    parts = [Moments(size, 3, exact=True) for _ in range(4)]  # the last one is empty
    for part, rows in zip(parts, np.split(np.arange(600), [10, 500]), strict=False):
        part.add(values[rows], others[rows])
    merged = Moments(size, 3, exact=True)
    for part in [parts[3], *pickle.loads(pickle.dumps(parts))]:
        merged.merge(part)
    assert merged.count == 600
    far, more = values - values.mean(0), others - others.mean(0)
    np.testing.assert_allclose(merged.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(merged.other_mean, others.mean(0), rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, far.T @ far / 600, atol=1e-11)
    cross = far.T @ more / 600
    np.testing.assert_allclose(
        merged.cross_covariance, cross, atol=1e-11 * max(1.0, np.abs(cross).max())
    )
    again = Moments.of_arrays(merged.arrays())
    np.testing.assert_array_equal(again.covariance, merged.covariance)


@pytest.mark.parametrize("size", [6, 300])
def test_folds_merge_to_those_of_all_samples(size):
    rng = np.random.default_rng(1)
    values = rng.standard_normal((900, size)) + 3
    errors = values[:, :2] * 0.3 + rng.standard_normal((900, 2)) + 50
    folds = rng.integers(0, 5, 900)
    together = RidgeFolds(size, 2, 5, exact=True)
    together.add(values, errors, folds)
    merged = RidgeFolds(size, 2, 5, exact=True)
    for rows in np.split(np.arange(900), [1, 2, 3, 400]):
        part = RidgeFolds(size, 2, 5, exact=True)
        part.add(values[rows], errors[rows], folds[rows])
        merged.merge(pickle.loads(pickle.dumps(part)))
    one, two = merged.together(), together.together()
    for field in ("count", "mean", "covariance", "error", "cross", "variance"):
        np.testing.assert_allclose(
            getattr(one, field), getattr(two, field), rtol=1e-9, atol=1e-10
        )
    for one, two in zip(merged.update(), together.update(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-10)


def test_statistics_are_those_of_numpy(model, whole):
    probe = keras.Model(model.inputs, model.get_layer("two").output)
    outputs = probe.predict(IMAGES, verbose=0).astype(np.float64)
    assert whole.count == 300
    # All 64 positions of this layer are taken.
    rows = outputs.reshape(-1, 20)
    mean, covariance = rows.mean(0), np.cov(rows.T, bias=True)
    np.testing.assert_allclose(whole.mean("two"), mean, atol=1e-6)
    np.testing.assert_allclose(whole.covariance("two"), covariance, atol=1e-6)
    assert whole.moments["two"].count == 300 * 64
    # Bases are those that `convert` computes from the images themselves.
    for given in ({"rank": 0.9}, {"keep": 0.5, "basis": "activations"}):
        one = kbp.convert(model, data=whole, verbose=0, **given)
        two = kbp.convert(
            model, data=IMAGES, verbose=0, **{"basis": "activations", **given}
        )
        difference = models.relative_difference(
            one.predict(IMAGES[:20], verbose=0), two.predict(IMAGES[:20], verbose=0)
        )
        assert difference < 1e-5


def test_spectra_and_plans_of_statistics(model, whole):
    one, two = (
        kbp.scores.bases(model, whole),
        kbp.scores.bases(model, IMAGES, verbose=0),
    )
    for name in two:
        np.testing.assert_allclose(
            one[name], two[name], rtol=1e-3, atol=1e-5 * two[name][0]
        )
    one = kbp.select_bases(model, keep=0.6, data=whole)
    assert one == kbp.select_bases(
        model,
        keep=0.6,
        scores={
            name: values**2 / (values**2).sum()
            for name, values in kbp.scores.bases(model, whole).items()
        },
    )


def test_parts_add_up_and_files_keep_all(model, whole, tmp_path):
    parts = [
        kbp.scores.summarize_outputs(model, images, verbose=0)
        for images in (IMAGES[:128], IMAGES[128:256], IMAGES[256:])
    ]
    before = parts[0].covariance("one").copy()
    assert_equal(parts[0] + (parts[1] + parts[2]), whole)
    assert_equal((parts[2] + parts[0]) + parts[1], whole)
    np.testing.assert_array_equal(parts[0].covariance("one"), before)
    whole.save(tmp_path / "statistics.npz")
    assert_equal(
        kbp.scores.OutputStatistics.load(tmp_path / "statistics.npz"), whole, 0
    )
    assert repr(whole) == "OutputStatistics of 300 samples in 2 layers"


def test_statistics_are_of_a_file_of_the_model_too(model, whole, tmp_path):
    model.save(tmp_path / "model.keras")
    for _ in range(2):  # random layers have another state each time
        again = keras.models.load_model(tmp_path / "model.keras")
        again.compile(metrics=["accuracy"])
        found = kbp.scores.summarize_outputs(again, IMAGES[:9], verbose=0)
        assert (whole + found).count == 309


def test_what_does_not_belong_together_is_refused(model, whole, tmp_path):
    other = network()
    other.get_layer("two").kernel.assign(other.get_layer("two").kernel * 2)
    others = kbp.scores.summarize_outputs(other, IMAGES[:9], verbose=0)
    with pytest.raises(ValueError, match="Expected statistics of the same model"):
        whole + others
    some = kbp.scores.summarize_outputs(model, IMAGES[:9], include="two", verbose=0)
    with pytest.raises(ValueError, match="Expected statistics of the same layers"):
        whole + some
    with pytest.raises(ValueError, match="`data` to be statistics of `model`"):
        kbp.convert(model, 0.9, data=others)
    with pytest.raises(ValueError, match="of all layers to decompose.*'one'"):
        kbp.convert(model, 0.9, data=some)
    assert kbp.convert(model, 0.9, data=some, include="two").count_params() > 0
    with pytest.raises(ValueError, match="`data` to be samples for a regression"):
        kbp.convert(model, keep=0.5, data=whole, basis="regression")
    with pytest.raises(ValueError, match="`layer` to be one of.*'one', 'two'"):
        whole.mean("three")
    with pytest.raises(ValueError, match="`path` to end with .npz"):
        whole.save(tmp_path / "statistics")
    (tmp_path / "other.npz").write_bytes(b"none")
    for name in ("other.npz", "nowhere.npz"):
        with pytest.raises(ValueError, match="that `OutputStatistics.save` wrote"):
            kbp.scores.OutputStatistics.load(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.npz"]


def options():
    pipeline_options = pytest.importorskip("apache_beam.options.pipeline_options")
    words = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
    return pipeline_options.PipelineOptions(["--runner=DirectRunner", *words])


def on_beam(model, source, folder, **given):
    return kbp.scores.summarize_outputs(model, place(source, folder, **given))


def place(source, folder, **given):
    given = {"options": options(), "shard_size": 64, "retries": 0, **given}
    return kbp.data.BeamSource(source, work_dir=folder, **given)


@pytest.mark.parametrize("shard_size", [64, 77])
def test_beam_gives_the_same(model, whole, file, tmp_path, shard_size):
    found = on_beam(model, file, tmp_path / "work", shard_size=shard_size)
    assert_equal(found, whole)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["model.keras"]
    one = kbp.convert(model, 0.9, data=found)
    two = kbp.convert(model, 0.9, data=whole)
    np.testing.assert_allclose(
        one.predict(IMAGES[:9], verbose=0),
        two.predict(IMAGES[:9], verbose=0),
        atol=1e-5,
    )


def test_functions_that_take_statistics_take_the_source_itself(
    model, whole, file, tmp_path
):
    images = place(file, tmp_path)
    found = kbp.scores.bases(model, images)
    for name, values in kbp.scores.bases(model, whole).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)
    plan = kbp.select_bases(model, keep=0.6, data=images)
    assert plan == kbp.select_bases(model, keep=0.6, data=whole)
    one, two = (
        kbp.convert(model, 0.9, data=data).get_weights() for data in (images, whole)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(b).max())


def test_a_transform_gives_batches_of_several_inputs(tmp_path):
    beam = pytest.importorskip("apache_beam")
    left, right = keras.Input((9, 9, 2), name="left"), keras.Input((3,), name="right")
    x = keras.layers.Conv2D(5, 3, activation="relu", name="conv")(left)
    x = keras.layers.GlobalMaxPooling2D()(x)
    outputs = keras.layers.Dense(2)(keras.layers.concatenate([x, right]))
    model = keras.Model([left, right], outputs)
    rng = np.random.default_rng(0)
    arrays = [rng.random((40, 9, 9, 2), "float32"), rng.random((40, 3), "float32")]
    batches = [[array[i : i + 16] for array in arrays] for i in range(0, 40, 16)]
    found = on_beam(model, beam.Create(batches), tmp_path)
    expected = kbp.scores.summarize_outputs(model, arrays, verbose=0)
    assert_equal(found, expected, 1e-6)  # batches of another size, in float32
    with pytest.raises(Exception, match="`source` to hold finite numbers"):
        on_beam(model, beam.Create([[arrays[0] * np.nan, arrays[1]]]), tmp_path)
    with pytest.raises(ValueError, match="`source` to hold at least one sample"):
        on_beam(model, beam.Create([]), tmp_path)


@keras.saving.register_keras_serializable("tests")
class Hidden(keras.layers.Layer):
    """A layer that can't be loaded again."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if kwargs.get("name") == "again":
            raise TypeError("it can't be made again")

    def get_config(self):
        return {**super().get_config(), "name": "again"}

    def call(self, inputs):
        return inputs


def test_a_model_that_workers_cannot_load_is_named_at_the_start(file, tmp_path):
    inputs = keras.Input((10, 10, 3))
    outputs = Hidden()(keras.layers.Conv2D(4, 3)(inputs))
    with pytest.raises(ValueError, match="`model` to be one that workers can load"):
        on_beam(keras.Model(inputs, outputs), file, tmp_path / "work")
    assert not list(tmp_path.glob("work/*"))


def test_what_beam_refuses_at_the_start(model, file, tmp_path):
    for given, told in (
        ({"source": "nowhere"}, "`source` to be arrays.*'nowhere'"),
        ({"source": IMAGES}, "`source` to be a path"),
        ({"imports": ["no_such_module"]}, "`imports` to name modules.*no_such_module"),
    ):
        given = {"source": file, **given}
        with pytest.raises(ValueError, match=told):
            on_beam(model, folder=tmp_path / "work", **given)
    with pytest.raises(ValueError, match="`include` to match"):
        images = place(file, tmp_path / "work")
        kbp.scores.summarize_outputs(model, images, include="three")
    any_size = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)]
    )
    with pytest.raises(ValueError, match="`image_size` for a model that takes"):
        on_beam(any_size, file, tmp_path / "work")
    assert not list(tmp_path.glob("work*"))
