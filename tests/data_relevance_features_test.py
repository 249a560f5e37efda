"""Features of any encoder, at any size, kept in files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from relevance_encoders import images, maps, vectors

import keras_basisprune as kbp
from keras_basisprune.data.readers.fit_image import fit_image
from keras_basisprune.data.relevance.encoder_fingerprint import encoder_fingerprint
from keras_basisprune.data.relevance.feature_extractor import FeatureExtractor
from keras_basisprune.data.relevance.moments import Moments
from keras_basisprune.data.relevance.stored_features import write_rows

pytest.importorskip("sklearn")
PIL_Image = pytest.importorskip("PIL.Image")
SOURCE, TARGET = images(30, 0), images(10, 1, 90)


def features(encoder, arrays, batch_size=8, **options):
    extractor = FeatureExtractor(encoder, batch_size, **options)
    pairs = ((part, ()) for part in arrays)
    return np.concatenate(list(extractor(pairs)))


def select(source=SOURCE, target=TARGET, encoder=None, **options):
    options = {"keep": 0.2, "verbose": 0, **options}
    return kbp.data.select_relevant(source, target, encoder or maps(), **options)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 3, padding="same")
        self.drop = keras.layers.Dropout(0.5)

    def call(self, x):
        return {"maps": self.drop(self.conv(x)), "mean": x[:, 0, 0]}


def test_maps_are_averaged_and_outputs_joined():
    encoder = maps()
    model = keras.Model(encoder.input, [encoder.output, encoder.output[:, 0, 0]])
    found = features(
        model, [[SOURCE[:3]], [SOURCE[3:4]], [SOURCE[4:]]], first=(8, 8, 3)
    )
    outputs = encoder.predict(SOURCE.astype("float32"), verbose=0)
    expected = np.concatenate([outputs.mean((1, 2)), outputs[:, 0, 0]], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32


def test_a_subclassed_encoder_runs_in_inference():
    encoder = Subclassed()
    encoder(SOURCE[:1].astype("float32"))
    found = features(encoder, [[SOURCE]], first=(8, 8, 3))
    outputs = encoder(SOURCE.astype("float32"), training=False)
    expected = np.concatenate(
        [keras.ops.mean(outputs["maps"], (1, 2)), outputs["mean"]], axis=1
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert len(select(encoder=encoder).scores) == 30


def test_an_encoder_of_one_batch_size():
    inputs = keras.Input(batch_shape=(4, 8, 8, 3))
    outputs = keras.ops.reshape(inputs, (4, -1))
    found = features(keras.Model(inputs, outputs), [[SOURCE]], first=(8, 8, 3))
    np.testing.assert_array_equal(found, SOURCE.reshape(30, -1))


def test_several_inputs():
    one, two = keras.Input((2,), name="one"), keras.Input((3,), name="two")
    joined = keras.layers.Concatenate()([one, two])
    encoder = keras.Model({"one": one, "two": two}, joined)
    rows = np.random.default_rng(0).random((20, 5)).astype("float32")
    dicts = [{"one": r[:, :2], "two": r[:, 2:]} for r in (rows, rows[:9])]
    found = select(*dicts, encoder)
    expected = select(rows, rows[:9], vectors(5))
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_mixed_precision_gives_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder = maps()
    finally:
        keras.config.set_dtype_policy("float32")
    found = features(encoder, [[SOURCE]], first=(8, 8, 3))
    exact = features(maps(), [[SOURCE]], first=(8, 8, 3))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=0.02)


def test_features_that_are_not_finite_are_refused():
    encoder = maps()
    encoder.set_weights([np.full_like(w, np.inf) for w in encoder.get_weights()])
    with pytest.raises(ValueError, match="`encoder` to give finite features"):
        select(encoder=encoder)


def test_an_output_without_features_is_refused():
    encoder = maps()
    scalar = keras.Model(encoder.input, keras.ops.mean(encoder.output, (1, 2, 3)))
    with pytest.raises(ValueError, match="`encoder` to give features of shape"):
        select(encoder=scalar)


def fitted(arrays, size, channels=3):
    return np.stack([fit_image(image, size, channels) for image in arrays])


def test_images_are_resized_to_the_encoder():
    small, grey = images(30, 2, shape=(5, 6, 3)), images(10, 3, 90, (6, 6))
    found = select(small, grey)
    expected = select(fitted(small, (8, 8)), fitted(grey, (8, 8)))
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_an_encoder_of_any_size_takes_that_of_the_target(tmp_path):
    encoder = maps((None, None, 3))
    small = images(30, 2, shape=(5, 6, 3))
    found = select(small, TARGET, encoder, cache_dir=tmp_path)
    expected = select(fitted(small, (8, 8)), TARGET, encoder)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    other = select(small, fitted(TARGET, (6, 6)), encoder, cache_dir=tmp_path)
    expected = select(fitted(small, (6, 6)), fitted(TARGET, (6, 6)), encoder)
    np.testing.assert_allclose(other.scores, expected.scores, atol=1e-6)


def test_low_resolution():
    open_size, one_size = maps((None, None, 3)), maps()
    both = fitted(SOURCE, (4, 4)), fitted(TARGET, (4, 4))
    found = select(SOURCE, TARGET, open_size, image_size=4)
    expected = select(*both, open_size)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    found = select(SOURCE, TARGET, one_size, image_size=(4, 4))
    both = [np.stack([fit_image(image, (8, 8), 3) for image in part]) for part in both]
    expected = select(*both, one_size)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_values_below_zero_keep_their_range_when_resized():
    image = np.linspace(-1, 1, 48, dtype="float32").reshape(4, 4, 3)
    found = fit_image(image, (8, 8), 3)
    assert found.min() < -0.9 and found.max() > 0.9


def test_a_folder_of_all_kinds_of_images(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(8, 8, 3), (5, 9), (12, 7, 4), (8, 8)]
    arrays = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    for number, array in enumerate(arrays):
        PIL_Image.fromarray(array).save(tmp_path / f"{number}.png")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "1.jpg").write_bytes(b"no image")
    PIL_Image.fromarray(arrays[0]).save(tmp_path / "deep" / "er" / "4.png")
    (tmp_path / "note.txt").write_text("hello")
    found = select(tmp_path)
    assert found.names == ("0.png", "1.png", "2.png", "3.png", "deep/er/4.png")
    assert len(found.skipped) == 1 and "1.jpg" in found.skipped[0]
    arrays[2] = arrays[2][..., :3]
    expected = np.stack([fit_image(a, (8, 8), 3) for a in [*arrays, arrays[0]]])
    expected = select(expected).scores
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    random = select(tmp_path, method="random")
    assert (random.names, random.skipped) == (found.names, found.skipped)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="`target` to be a folder of images"):
        select(target=tmp_path / "empty")


def test_folders_of_classes_may_be_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "source").mkdir()
    for number in range(3):
        path = tmp_path / "elsewhere" / f"{number}.png"
        PIL_Image.fromarray(SOURCE[number]).save(path)
    (tmp_path / "source" / "cat").symlink_to(tmp_path / "elsewhere")
    assert select(tmp_path / "source").names == ("cat/0.png", "cat/1.png", "cat/2.png")


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"y": np.zeros(3)}, "to hold `x_train` or `x`. Received: keys \\['y'\\]"),
        ({"x": np.zeros((3, 4))}, "images of shape.*array of shape \\(3, 4\\)"),
        ({"x": np.full((3, 4, 4), 300.0)}, "pixels in .0, 255.*from 300.0 to 300.0"),
        ({"x": np.full((3, 4, 4), np.nan)}, "finite pixels"),
        ({"x": np.array([None])}, "to hold an array|images of shape"),
    ],
)
def test_refused_archives(tmp_path, arrays, text):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=text):
        select(tmp_path / "a.npz")


def test_a_damaged_archive_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=SOURCE)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:2000] + b"?" * 100 + whole[2100:])
    with pytest.raises(ValueError, match="to be readable.*CRC"):
        select(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(whole[:2000])
    with pytest.raises(ValueError, match="to be an .npz file"):
        select(tmp_path / "a.npz")


def write_records(path, key, values):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for value in values:
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
            features = tf.train.Features(feature={key: feature})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return path


@pytest.mark.parametrize("key", ["image", "image/encoded"])
def test_records_of_images(tmp_path, key):
    encoded = [tf.io.encode_png(image).numpy() for image in SOURCE]
    path = write_records(tmp_path / "a.tfrecord", key, encoded)
    np.testing.assert_allclose(select(path).scores, select().scores, atol=1e-6)


def test_refused_records(tmp_path):
    encoded = [tf.io.encode_png(image).numpy() for image in SOURCE[:2]]
    path = write_records(tmp_path / "a.tfrecord", "image", [*encoded, b"none"])
    with pytest.raises(ValueError, match="encoded `image`.*error after 2 of them"):
        select(path)
    path = write_records(tmp_path / "a.tfrecord", "picture", encoded)
    with pytest.raises(ValueError, match="encoded `image`.*error after 0 of them"):
        select(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="encoded `image`.*DataLoss"):
        select(path)


class TestCache:
    def entries(self, folder):
        return sorted(path.name for path in folder.iterdir())

    def test_features_are_read_from_it(self, tmp_path):
        first = select(cache_dir=tmp_path)
        assert first == select() and len(self.entries(tmp_path)) == 2
        times = [path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")]
        assert select(cache_dir=tmp_path, method="clusters", keep=0.3) == first.at(0.3)
        select(cache_dir=tmp_path, method="domain")
        assert times == [path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")]
        for path in tmp_path.rglob("*.npy"):
            rows = np.load(path)
            np.save(path, rows[::-1] if len(rows) == 30 else rows)
        again = select(cache_dir=tmp_path)
        np.testing.assert_allclose(again.scores, first.scores[::-1], atol=1e-6)

    @pytest.mark.parametrize("what", ["data", "weights", "architecture", "size"])
    def test_not_those_of_something_else(self, tmp_path, what):
        select(cache_dir=tmp_path)
        source, encoder, options = SOURCE.copy(), maps(), {}
        if what == "data":
            source[-1, -1, -1, -1] ^= 1
        if what == "weights":
            encoder = maps(seed=1)
        if what == "architecture":
            encoder = keras.Model(encoder.input, keras.ops.square(encoder.output))
        if what == "size":
            options = {"image_size": 7}
        found = select(source, encoder=encoder, cache_dir=tmp_path, **options)
        assert found == select(source, encoder=encoder, **options)
        assert len(self.entries(tmp_path)) == (3 if what == "data" else 4)

    def test_damaged_entries_are_computed_again(self, tmp_path):
        first = select(cache_dir=tmp_path)
        for path in tmp_path.rglob("*.npy"):
            path.write_bytes(path.read_bytes()[:100])
        assert select(cache_dir=tmp_path) == first

    def test_nothing_is_left_of_an_error(self, tmp_path):
        source = SOURCE.astype("float32")
        source[-1] = np.nan
        with pytest.raises(ValueError, match="finite"):
            select(source, cache_dir=tmp_path / "new")
        left = [p.name for p in (tmp_path / "new").rglob("*") if p.is_file()]
        assert sorted(left) == ["features.npy", "names.json"]  # of the target


def test_fingerprints_leave_out_names_that_keras_counts():
    one, two = maps(), maps()
    assert one.layers[-1].name != two.layers[-1].name
    assert encoder_fingerprint(one) == encoder_fingerprint(two)
    assert encoder_fingerprint(maps(seed=1)) != encoder_fingerprint(one)
    assert encoder_fingerprint(maps((None, None, 3))) != encoder_fingerprint(one)


def test_moments_equal_numpy_however_they_are_divided():
    rows = np.random.default_rng(0).normal(3, [1, 2, 0], (50, 3)).astype("float32")
    parts = Moments() + Moments.of(rows[:1]) + Moments.of(rows[1:20])
    parts += Moments.of(rows[20:]) + Moments()
    np.testing.assert_allclose(parts.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(parts.scale, [*rows.std(0)[:2], 1], rtol=1e-5)
    np.testing.assert_array_equal(parts.scale, Moments.of(rows).scale)


def test_rows_are_written_in_blocks(tmp_path):
    rows = np.arange(24, dtype="float32").reshape(12, 2)
    assert write_rows(tmp_path / "a.npy", iter([rows[:5], rows[5:6], rows[6:]])) == 12
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), rows)
    assert write_rows(tmp_path / "b.npy", iter([])) == 0
