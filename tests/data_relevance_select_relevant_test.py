"""Which images of a source are like a target, for every form of data."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from relevance_encoders import images, maps, striped, vectors

import keras_basisprune as kbp
from keras_basisprune.data.relevance.domain_scorer import fit_domain
from keras_basisprune.data.relevance.moments import Moments
from keras_basisprune.data.relevance.random_scorer import RandomScorer

pytest.importorskip("sklearn")
PIL_Image = pytest.importorskip("PIL.Image")
SOURCE, TARGET = images(50, 0), images(12, 1, 90)
METHODS = ("clusters", "domain", "random")


def select(source=SOURCE, target=TARGET, encoder=None, **options):
    options = {"keep": 0.2, "verbose": 0, "batch_size": 8, **options}
    return kbp.data.select_relevant(source, target, encoder or maps(), **options)


@pytest.fixture(scope="module")
def expected():
    return {method: select(method=method).scores for method in METHODS}


class Numbered(keras.utils.PyDataset):
    """Batches of seven images with labels; may shuffle after each epoch."""

    def __init__(self, arrays, shuffles=False):
        super().__init__()
        self._arrays, self._shuffles = arrays, shuffles

    def __len__(self):
        return -(-len(self._arrays) // 7)

    def __getitem__(self, index):
        part = self._arrays[7 * index : 7 * index + 7]
        return part, np.zeros(len(part))

    def on_epoch_end(self):
        if self._shuffles:
            self._arrays = self._arrays[::-1]


def test_clusters_by_hand():
    source = np.array([[1, 0], [0, 5], [3, 3], [-2, 0], [4, 0.0]], "float32")
    target = np.array([[2, 0], [0, 1], [2, 0], [0, 1.0]], "float32")
    found = select(source, target, vectors(), clusters=2, keep=0.4)
    scale = np.concatenate([source, target]).std(axis=0)
    rows = source / scale
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.linalg.norm(rows[:, None] - np.eye(2), axis=2).min(axis=1)
    np.testing.assert_allclose(found.scores, -distances, atol=1e-6)
    assert sorted(found.indices) == [0, 1]  # exactly on a centre, as the last one is
    assert found.at(0.6).indices.tolist() == [0, 1, 4]
    assert found.at(0.01).indices.tolist() == [0]


@pytest.mark.parametrize("method", ["clusters", "domain"])
@pytest.mark.parametrize("axis", [0, 1])
def test_images_like_the_target_come_first(method, axis):
    source = np.concatenate([striped(30, 0, 0), striped(30, 1, 1)])
    own = np.arange(60) // 30 == axis
    target = striped(40, 2, axis)
    found = select(source, target, maps(filters=16), keep=0.25, method=method)
    assert own[found.indices].mean() >= 0.9
    assert found.method == method


def test_chance_depends_on_seed_and_position_only(expected):
    other = select(images(50, 7), encoder=vectors(3), method="random").scores
    np.testing.assert_array_equal(other, expected["random"])
    np.testing.assert_array_equal(RandomScorer(0)(range(9), 41), other[41:])
    assert not np.array_equal(select(method="random", seed=1).scores, other)
    assert 0 <= other.min() < 0.2 and 0.8 < other.max() < 1


def test_no_image_is_scored_by_a_classifier_that_knows_it():
    rng = np.random.default_rng(0)
    source, target, fresh = rng.normal(size=(3, 60, 200))
    moments = Moments.of(np.concatenate([source, target]))
    score = fit_domain(target, moments, np.arange(60), source, seed=0)
    seen, unseen = score(source, 0), score(fresh, 60)
    known = score(source, 60)  # as if the images had not been trained on
    spread = unseen.std()
    assert abs(seen.mean() - unseen.mean()) < 0.5 * spread
    assert known.mean() < unseen.mean() - spread


def forms(folder):
    """Yields names and forms of the source; the last ones have other batches."""
    labels = np.arange(50)
    yield "with labels", (SOURCE, labels)
    yield "tensor", tf.constant(SOURCE)
    yield "list of one input", [SOURCE]
    yield "dict", {"image": SOURCE, "label": labels}
    yield "floats", SOURCE.astype("float64")
    batches = tf.data.Dataset.from_tensor_slices((SOURCE, labels))
    yield "dataset", batches.batch(7)
    yield "dataset of single samples", batches
    examples = {"image": SOURCE, "label": labels}
    yield "dataset of dicts", tf.data.Dataset.from_tensor_slices(examples).batch(9)
    yield "PyDataset", Numbered(SOURCE)
    yield "batches", [(SOURCE[:20], labels[:20]), (SOURCE[20:], labels[20:])]
    yield "generator", (SOURCE[i : i + 3] for i in range(0, 50, 3))
    np.save(folder / "a.npy", SOURCE)
    yield "npy", folder / "a.npy"
    yield "memory-mapped", np.load(folder / "a.npy", mmap_mode="r")
    np.savez_compressed(folder / "a.npz", x_train=SOURCE, y_train=labels)
    yield "npz", str(folder / "a.npz")
    np.savez(folder / "b.npz", x=(SOURCE.astype("float32") / 255))
    yield "npz of shares", folder / "b.npz"
    np.savez(folder / "c.npz", x=SOURCE.astype("uint16") * 257)
    yield "npz of 16 bits", folder / "c.npz"
    none = SOURCE[:0], labels[:0]
    pair = SOURCE.astype("float32"), labels
    yield "ImageData", kbp.data.ImageData(pair, none, none, ("a", "b"), "", "")
    for number, image in enumerate(SOURCE):
        (folder / "all" / "train" / f"{number // 20}").mkdir(
            parents=True, exist_ok=True
        )
        path = folder / "all" / "train" / f"{number // 20}" / f"{number:02d}.png"
        PIL_Image.fromarray(image).save(path)
    yield "folder", folder / "all"


def test_all_forms_give_the_same(expected, tmp_path):
    encoder = maps()
    for name, form in forms(tmp_path):
        found = select(form, encoder=encoder)
        np.testing.assert_allclose(
            found.scores, expected["clusters"], atol=1e-6, err_msg=name
        )
    assert found.names[0] == "train/0/00.png" and found.names[-1] == "train/2/49.png"
    assert found.files[0] == found.names[found.indices[0]]
    of_target = select(target=tf.data.Dataset.from_tensor_slices(TARGET).batch(5))
    np.testing.assert_allclose(of_target.scores, expected["clusters"], atol=1e-6)
    of_iterator = select(target=iter([TARGET[:5], TARGET[5:]]))
    np.testing.assert_allclose(of_iterator.scores, expected["clusters"], atol=1e-6)


def test_nothing_of_the_caller_is_changed():
    encoder, source, target = maps(), SOURCE.astype("float32"), TARGET.copy()
    before, config = encoder.get_weights(), encoder.get_config()
    select(source, target, encoder)
    assert all(map(np.array_equal, before, encoder.get_weights()))
    assert encoder.get_config() == config and not encoder.compiled
    np.testing.assert_array_equal(source, SOURCE)
    np.testing.assert_array_equal(target, TARGET)


def test_a_dataset_that_shuffles_is_refused():
    dataset = tf.data.Dataset.from_tensor_slices(SOURCE).shuffle(50).batch(7)
    for source in (dataset, Numbered(SOURCE, shuffles=True)):
        with pytest.raises(
            ValueError, match="`source` to give its samples in the same"
        ):
            select(source)
    fixed = tf.data.Dataset.from_tensor_slices(SOURCE)
    fixed = fixed.shuffle(50, seed=1, reshuffle_each_iteration=False).batch(7)
    assert len(select(fixed).scores) == 50


def test_endless_data_are_refused():
    endless = tf.data.Dataset.from_tensor_slices(SOURCE).repeat().batch(7)
    with pytest.raises(ValueError, match="`source` to end.*`source.take"):
        select(endless)
    with pytest.raises(ValueError, match="`target` to end"):
        select(target=endless)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"keep": 0}, "`keep` to be a number in .0, 1.*keep=0"),
        ({"keep": 1.5}, "`keep`"),
        ({"method": "kmeans"}, "`method` to be 'clusters', 'domain' or 'random'"),
        ({"clusters": 13}, "`clusters` to be at most.*clusters=13 and 12 images"),
        ({"clusters": 0}, "`clusters` to be a positive"),
        ({"image_size": 0}, "`image_size`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"seed": -1}, "`seed`"),
        ({"verbose": "loud"}, "`verbose`"),
        ({"cache_dir": ""}, "`cache_dir`"),
        ({"source": "nowhere"}, "`source` to be arrays.*source='nowhere'"),
        ({"target": 3}, "`target` to be arrays"),
        ({"source": SOURCE[:0]}, "`source` to hold samples"),
        ({"source": SOURCE[0]}, "`source` to hold several images.*\\(8, 8, 3\\)"),
        ({"source": SOURCE[:, :, :, :2]}, "brought to 3 channels.*\\(8, 8, 2\\)"),
        ({"source": SOURCE / np.nan}, "`source` to hold finite numbers"),
        ({"encoder": "MobileNet"}, "`encoder` to be a `keras.Model`"),
        ({"encoder": keras.Sequential([keras.layers.Dense(2)])}, "`encoder`.*built"),
    ],
)
def test_refusals(options, text):
    with pytest.raises(ValueError, match=text):
        select(**options)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        select()
