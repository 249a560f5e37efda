"""Samples, labels and weights out of whatever `fit` takes."""

import keras
import numpy as np
import pytest
from keras import layers
from models import randomize

import keras_basisprune as kbp
from keras_basisprune.data.examples.batch import joined
from keras_basisprune.data.examples.on_disk import on_disk
from keras_basisprune.data.examples.read_examples import read_examples

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4, 4, 1)).astype("float32")
Z = RNG.normal(size=(50, 3)).astype("float32")
Y = RNG.integers(0, 3, 50)
W = RNG.uniform(0.5, 2, 50).astype("float32")


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((4, 4, 1), name="image")
    x = layers.Flatten()(layers.Conv2D(2, 3)(inputs))
    return randomize(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


@pytest.fixture(scope="module")
def several():
    """Two inputs and two outputs, by name."""
    inputs = {"image": keras.Input((4, 4, 1)), "more": keras.Input((3,))}
    x = layers.Flatten()(layers.Conv2D(2, 3)(inputs["image"]))
    x = layers.Concatenate()([x, inputs["more"]])
    outputs = {"b": layers.Dense(1)(x), "a": layers.Dense(3, "softmax")(x)}
    return randomize(keras.Model(inputs, outputs))


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, size=16):
        super().__init__()
        self._arrays, self._size = arrays, size

    @property
    def num_batches(self):
        return -(-len(X) // self._size)

    def __getitem__(self, index):
        part = slice(index * self._size, (index + 1) * self._size)
        return keras.tree.map_structure(lambda a: a[part], self._arrays)


class Restarting:
    """An iterable with a length, of single samples."""

    def __len__(self):
        return len(X)

    def __iter__(self):
        return zip(X, Y, strict=True)


def dataset(*arrays, batch=16):
    import tensorflow as tf

    found = tf.data.Dataset.from_tensor_slices(arrays)
    return found.batch(batch) if batch else found


FORMS = {
    "arrays": lambda: (X, Y),
    "a list": lambda: [X, Y],
    "lists": lambda: (list(X), list(Y)),
    "a dict": lambda: ({"image": X}, Y),
    "tf.data": lambda: dataset(X, Y),
    "single samples": lambda: dataset(X, Y, batch=0),
    "PyDataset": lambda: Batches(X, Y),
    "an iterable": Restarting,
    "a generator": lambda: ((X[i : i + 7], Y[i : i + 7]) for i in range(0, 50, 7)),
    "a list of batches": lambda: [(X[:20], Y[:20]), (X[20:], Y[20:])],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same(model, form):
    examples = read_examples("train", model, FORMS[form](), seed=3)
    assert (len(examples), examples.labelled, examples.weighted) == (50, True, False)
    for size in (8, 50, 64):
        batches = list(examples.batches(size))
        assert [len(b) for b in batches[:-1]] == [size] * (len(batches) - 1)
        whole = joined(batches)
        np.testing.assert_array_equal(whole.inputs[0], X)
        np.testing.assert_array_equal(whole.targets[0], Y)
    (drawn,) = examples.drawn(20, 1)
    assert len(drawn) == 20
    known = {row.tobytes() for row in X}
    assert len({row.tobytes() for row in drawn} & known) == 20


@pytest.mark.parametrize("form", FORMS)
def test_accuracy_takes_every_form(model, form):
    right = model.predict(X, verbose=0).argmax(-1) == Y
    assert kbp.measure.accuracy(model, FORMS[form]()) == pytest.approx(right.mean())


def test_accuracy_of_one_hot_labels_weights_and_one_sigmoid(model):
    right = model.predict(X, verbose=0).argmax(-1) == Y
    accuracy = kbp.measure.accuracy
    assert accuracy(model, (X, np.eye(3)[Y])) == pytest.approx(right.mean())
    expected = np.average(right, weights=W)
    assert accuracy(model, (X, Y, W)) == pytest.approx(expected)
    assert accuracy(model, dataset(X, Y, W)) == pytest.approx(expected)
    x = layers.Flatten()(model.input)
    one = randomize(keras.Model(model.input, layers.Dense(1, "sigmoid")(x)))
    said = one.predict(X, verbose=0)[:, 0] > 0.5
    assert accuracy(one, (X, Y % 2)) == pytest.approx(np.mean(said == Y % 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: (x, y),
        lambda x, y: dataset(x, y),
        lambda x, y: Batches(x, y),
        lambda x, y: Batches(x, y, np.ones(50)),
        lambda x, y: ([x["image"], x["more"]], [y["a"], y["b"]]),
    ],
)
def test_several_inputs_and_outputs(several, make):
    y = {"a": Y, "b": Z[:, :1]}
    examples = read_examples("train", several, make({"image": X, "more": Z}, y))
    whole = joined(list(examples.batches(20)))
    for found, expected in zip(whole.inputs, (X, Z), strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(whole.targets, (Y, Z[:, :1]), strict=True):
        np.testing.assert_array_equal(found, expected)
    if whole.weights is not None:
        assert [w.tolist() for w in whole.weights] == [[1.0] * 50] * 2
    if examples.in_memory:
        assert len(examples.images) == 50
        assert set(examples.images[np.array([3])]) == {"image", "more"}


def test_a_checksum_knows_contents_and_not_the_order_of_a_stream(model):
    def checksum(*arrays):
        return read_examples("train", model, dataset(*arrays)).checksum

    order = RNG.permutation(50)
    assert checksum(X, Y) == checksum(X[order], Y[order])
    assert checksum(X, Y) != checksum(X, Y[order])
    assert checksum(X, Y) != checksum(X[:-1], Y[:-1])
    arrays = [read_examples("train", model, (X, y)).checksum for y in (Y, Y[order])]
    assert arrays[0] != arrays[1]


def test_samples_are_drawn_evenly_from_a_stream(model):
    counts = np.zeros(50)
    index = {row.tobytes(): number for number, row in enumerate(X)}
    for seed in range(60):
        examples = read_examples("train", model, Batches(X, Y), spare=10, seed=seed)
        for row in examples.drawn(10, 0)[0]:
            counts[index[row.tobytes()]] += 1
    assert counts.sum() == 600
    assert counts.min() > 1  # 12 each are expected, with a deviation of 3
    assert counts.max() < 25


@pytest.mark.parametrize(
    ("data", "labels", "text"),
    [
        (X, "needed", "`train` to be a pair.*dataset of such batches. Received: nda"),
        (3, "optional", "`train` to be a pair.*or images alone.*Received: int"),
        ((X, None), "needed", "`train` to hold labels.*50 samples without"),
        ((X[:, :3], Y), "optional", r"`train` to hold images of shape \(4, 4, 1\)"),
        ((X, {"z": Y}), "optional", r"`train` to hold labels for each output.*\['z'\]"),
        ((X, Y, W[:9]), "optional", "`train` to hold one weight per sample"),
        (iter([]), "optional", "`train` to hold at least one sample"),
    ],
)
def test_what_does_not_fit_is_named(model, data, labels, text):
    with pytest.raises(ValueError, match=text):
        read_examples("train", model, data, labels)


def test_as_many_labels_as_outputs(several):
    with pytest.raises(ValueError, match=r"each output of the model: \['a', 'b'\]"):
        read_examples("train", several, ({"image": X, "more": Z}, Y))


def test_a_generator_may_have_no_end(model):
    import itertools

    with pytest.raises(ValueError, match="`train` to end"):
        read_examples("train", model, itertools.repeat((X, Y)))


def test_datasets_on_disk(model, several, tmp_path):
    """Files hold what the dataset holds: weights, and outputs without labels."""
    pairs = {"image": X, "more": Z}
    cases = {
        "weights": (model, Batches(X, Y, W)),
        "one of two": (several, Batches(pairs, {"a": Y})),
        "no labels": (model, dataset(X)),
    }
    for name, (network, data) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        stream = read_examples("train", network, data)
        held, wanted = on_disk(stream, folder), joined(list(stream.batches(64)))
        assert held.in_memory and held.given is None
        assert (held.labelled, held.weighted) == (stream.labelled, stream.weighted)
        for part in ("inputs", "targets", "weights"):
            one, other = getattr(held.whole, part), getattr(wanted, part)
            assert (one is None) == (other is None)
            for mapped, array in zip(one or (), other or (), strict=True):
                assert (mapped is None) == (array is None)
                if array is not None:
                    assert isinstance(mapped, np.memmap)
                    np.testing.assert_array_equal(mapped, array)


def test_samples_of_several_shapes_do_not_go_to_disk(tmp_path):
    inputs = keras.Input((None, None, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(inputs))
    network = randomize(keras.Model(inputs, x))
    other = np.zeros((5, 6, 6, 1), "float32")
    batches = [(X[:20], Y[:20]), (other, Y[:5])]
    with pytest.raises(ValueError, match=r"one shape, \(4, 4, 1\).*\(6, 6, 1\)"):
        on_disk(read_examples("validation", network, batches), tmp_path)
