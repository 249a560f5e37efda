"""Data without end: told by name before it is read, or stopped where it doesn't say."""

import itertools
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from batches import LABELS, A, one_input, read

import keras_basisprune as kbp
from keras_basisprune.data import ends
from keras_basisprune.export import sample_arrays

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6, 6, 1)).astype("float32")
Y = np.arange(32) % 3
LOSS = "sparse_categorical_crossentropy"


class Numbered(keras.utils.PyDataset):
    """Has `num_batches`, and no `len()`; remembers what happens to it."""

    def __init__(self, count, arrays=(X, Y), size=8):
        super().__init__()
        self._count, self._arrays, self._size = count, arrays, size
        self.log = []

    @property
    def num_batches(self):
        return self._count

    def on_epoch_begin(self):
        self.log.append("begin")

    def on_epoch_end(self):
        self.log.append("end")

    def __getitem__(self, index):
        self.log.append(index)
        start = index * self._size % len(self._arrays[0])
        return tuple(a[start : start + self._size] for a in self._arrays)


class Repeated:
    """As Grain's `repeat()`: a length that stands for none, and nothing else."""

    def __init__(self, length):
        self._length = length

    def __len__(self):
        return self._length

    def __iter__(self):
        return itertools.repeat((X, Y))


DATASET = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
TAKE, ISLICE = "Pass some of it, `data.take(n)`.", "`itertools.islice(data, n)`."
ENDLESS = {
    "repeat": (lambda: DATASET.repeat(), TAKE),
    "repeat and more": (lambda: DATASET.repeat().shuffle(9).prefetch(1), TAKE),
    "PyDataset": (lambda: Numbered(None), "Let its `num_batches` say how many"),
    "cycle": (lambda: itertools.cycle([(X, Y)]), ISLICE),
    "repeat of itertools": (lambda: itertools.repeat((X, Y)), ISLICE),
    "largest length": (lambda: Repeated(sys.maxsize), ISLICE),
    "larger length": (lambda: Repeated(2**70), ISLICE),
}


def endless(kind):
    data, remedy = ENDLESS[kind]
    data = data()
    text = f"Expected `data` to end. Received: data={type(data)}, which goes on for"
    return data, f"{re.escape(text)}.*{re.escape(remedy)}"


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_data_is_refused_by_name(kind):
    data, text = endless(kind)
    with pytest.raises(ValueError, match=text):
        read(one_input(), data)
    assert getattr(data, "log", []) == []  # nothing was read


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def plan(model):
    return kbp.select_channels(
        model, scores=kbp.scores.channels.l2_norm(model), keep=0.5, scope="global"
    )


def thresholding(model, data):
    converted = kbp.convert(model)
    converted.compile("sgd", LOSS)
    callback = kbp.L1Thresholding(0.1, score="taylor", start=5, data=data)
    return converted.fit(X, Y, callbacks=[callback], verbose=0)


channels = kbp.scores.channels
READERS = {
    "convert": lambda m, p, d: kbp.convert(m, data=d, verbose=0),
    "regression": lambda m, p, d: kbp.convert(
        m, 2, basis="regression", data=d, verbose=0
    ),
    "compensate": lambda m, p, d: kbp.compensate(m, p, d, verbose=0),
    "recalibrate": lambda m, p, d: kbp.surgery.recalibrate(m, d, verbose=0),
    "activation": lambda m, p, d: channels.activation(m, d),
    "compensated": lambda m, p, d: channels.compensated(m, d),
    "taylor of channels": lambda m, p, d: channels.taylor(m, d, loss=LOSS),
    "taylor": lambda m, p, d: kbp.scores.taylor(kbp.convert(m), d, loss=LOSS),
    "thresholding": lambda m, p, d: thresholding(m, d),
    "accuracy": lambda m, p, d: kbp.measure.accuracy(m, (d, Y)),
}


@pytest.mark.parametrize("kind", ["repeat", "PyDataset", "cycle"])
@pytest.mark.parametrize("reader", READERS)
def test_wherever_data_is_read(model, plan, reader, kind):
    data, text = endless(kind)
    with pytest.raises(ValueError, match=text):
        READERS[reader](model, plan, data)


def test_a_py_dataset_without_len_is_read_as_fit_reads_it():
    data = Numbered(4, (A, LABELS), 2)
    assert not hasattr(data, "__len__")
    batches = read(one_input(), data)
    assert [len(batch[0]) for batch in batches] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), A)
    assert data.log == ["begin", 0, 1, 2, 3, "end"]


def test_a_py_dataset_without_len_gives_what_arrays_give(model, plan):
    def weights(data):
        small = kbp.compensate(model, plan, data, verbose=0)
        return [keras.ops.convert_to_numpy(w) for w in small.weights]

    for found, wanted in zip(weights(Numbered(4)), weights(X), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        channels.taylor(model, Numbered(4), loss=LOSS),
        channels.taylor(model, (X, Y), loss=LOSS, batch_size=8),
        rtol=1e-5,
    )


@pytest.mark.parametrize("count", [2.5, "4"])
def test_a_py_dataset_must_count_in_whole_numbers(count):
    with pytest.raises(ValueError, match="to have an integer `num_batches` or `__le"):
        read(one_input(), Numbered(count))


def test_a_py_dataset_must_say_how_long_it_is(model):
    class Silent(keras.utils.PyDataset):
        def __getitem__(self, index):
            return X, Y

    match = r"Received: <class '.*Silent'> without. Define one of them"
    with pytest.raises(ValueError, match=match):
        read(one_input(), Silent())
    with pytest.raises(ValueError, match=match):
        channels.taylor(model, Silent(), loss=LOSS)


def test_repeated_a_number_of_times():
    """What ends is read to its end, whatever it is made of."""
    data = tf.data.Dataset.from_tensor_slices(A).batch(7)
    for form in (data.repeat(2), itertools.repeat(A, 2), data.repeat().take(2)):
        (found,) = np.concatenate(read(one_input(), form), axis=1)
        np.testing.assert_array_equal(found, np.concatenate([A, A]))


class Flow:
    """As the iterators of Keras 2: they have a length, and begin again at its end."""

    def __init__(self):
        self._place = 0

    def __len__(self):
        return 2

    def __iter__(self):
        return self

    def __next__(self):
        self._place += 1
        return [A[:4], A[4:]][(self._place - 1) % 2]


def test_an_iterator_with_a_length_is_read_once():
    (found,) = np.concatenate(read(one_input(), Flow()), axis=1)
    np.testing.assert_array_equal(found, A)


def forever(batch):
    while True:
        yield batch


SILENT = {
    "generator": (lambda: forever((A, LABELS)), ISLICE),
    "empty batches": (lambda: forever(A[:0]), ISLICE),
    "tf.data": (
        lambda: (
            tf.data.Dataset.from_tensors(np.tile(A, (50, 1)))
            .repeat()
            .filter(lambda x: True)
        ),
        TAKE,
    ),
}


@pytest.mark.parametrize("kind", SILENT)
def test_data_that_does_not_say_is_stopped(kind, monkeypatch):
    monkeypatch.setattr(ends, "MOST", 10_500)
    data, remedy = SILENT[kind]
    data = data()
    text = (
        f"Expected `data` to end. Received: data={type(data)}, which does not say how "
        "much there is, and has not ended after 10,500 samples"
    )
    with (
        pytest.warns(UserWarning, match="`data` has given 10,.* It is read to its end"),
        pytest.raises(ValueError, match=f"{re.escape(text)}.*{re.escape(remedy)}"),
    ):
        read(one_input(), data)


@pytest.mark.parametrize("reader", ["compensate", "recalibrate", "regression"])
def test_what_is_kept_in_memory_is_stopped_earlier(model, plan, reader, monkeypatch):
    monkeypatch.setattr(ends, "_KEPT", 2**20)
    with pytest.raises(ValueError, match=r"not ended after 7,296 samples \(1 MiB\)"):
        READERS[reader](model, plan, forever((X, Y)))  # 32 * 144 bytes a batch


def test_training_passes_are_stopped(model, monkeypatch):
    monkeypatch.setattr("keras_basisprune.scores.squared_changes.MANY", 20)
    match = "`data` to end.*<class 'generator'>.*has not ended after 20 batches"
    with pytest.raises(ValueError, match=match):
        channels.taylor(model, forever((X, Y)), loss=LOSS)


def test_a_long_generator_is_read_to_its_end():
    whole = np.tile(A, (1800, 1))
    with pytest.warns(UserWarning, match="`data` has given 10,080 samples and does n"):
        batches = read(
            one_input(), (whole[i : i + 7 * 90] for i in range(0, 12600, 630))
        )
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), whole)


@pytest.mark.parametrize("kind", ["repeat", "PyDataset", "cycle", "generator"])
def test_what_takes_the_first_samples_takes_them_of_endless_data(model, kind):
    """Calibration reads 500 samples at most."""
    data = forever((X, Y)) if kind == "generator" else endless(kind)[0]
    specs = [keras.InputSpec(shape=(None, 6, 6, 1), dtype="float32", name="x")]
    (found,) = sample_arrays.sample_arrays(model, specs, data, "representative_data")
    np.testing.assert_array_equal(found, np.tile(X, (16, 1, 1, 1))[:500])
    (few,) = sample_arrays.sample_arrays(
        model, specs, endless("cycle")[0], "samples", 33
    )
    np.testing.assert_array_equal(few, np.concatenate([X, X[:1]]))
