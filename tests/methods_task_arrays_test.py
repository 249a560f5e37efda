"""Tasks from whatever `fit` takes: the same delta as from arrays, or an error."""

import itertools

import keras
import numpy as np
import pytest
from families import FAMILIES
from models import identical
from task_networks import state, subclassed

from keras_basisprune.methods import DiffOptions, deltas_by_share, diff_pruning
from keras_basisprune.methods.diff_pruning._task_arrays import task_arrays

QUICK = DiffOptions(epochs=1, fixed_epochs=1, batch_size=8, selection="magnitude")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((14, 6, 6, 3)).astype("float32")
Y = np.arange(14) % 4
MODEL = FAMILIES["residual"]


class Batches(keras.utils.PyDataset):
    """Batches of four; says how often it was read."""

    def __init__(self, endless=False, x=X):
        super().__init__()
        self.endless, self.x, self.epochs = endless, x, 0

    @property
    def num_batches(self):
        return None if self.endless else 4

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return self.x[rows], Y[rows]

    def on_epoch_end(self):
        self.epochs += 1


class Loader:
    """Like a `DataLoader` of PyTorch: a length, an iterator, lists of tensors."""

    def __len__(self):
        return 2

    def __iter__(self):
        for rows in (slice(0, 8), slice(8, 14)):
            yield [keras.ops.convert_to_tensor(a[rows]) for a in (X, Y)]


def dataset(x=X, y=Y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y))


def batches(size=5):
    return ((X[i : i + size], Y[i : i + size]) for i in range(0, 14, size))


FORMS = {
    "tf.data": lambda: dataset().batch(5),
    "tf.data, single samples": dataset,
    "tf.data of unknown length": lambda: dataset().filter(lambda x, y: True).batch(3),
    "PyDataset": Batches,
    "DataLoader": Loader,
    "generator": batches,
    "iterator with a length": lambda: iter(dataset().batch(5).as_numpy_iterator()),
    "list of batches": lambda: list(batches()),
    "without weights": lambda: ((*pair, None) for pair in batches()),
    "labels in a column": lambda: dataset(X, Y[:, None]).batch(5),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same_arrays(form):
    x, y = task_arrays("train", MODEL(), FORMS[form]())
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(np.ravel(y), Y)
    assert x.dtype == "float32" and y.dtype.kind == "i"


@pytest.mark.parametrize("make", [MODEL, subclassed])
def test_the_delta_of_a_dataset_is_that_of_arrays(make):
    model = make()
    wanted = diff_pruning(model, (X, Y), (X, Y), share=0.1, config=QUICK, verbose=0)
    read = Batches()
    for train, validation in ((dataset().batch(5), Loader()), (read, batches())):
        found = diff_pruning(
            model, train, validation, share=0.1, config=QUICK, verbose=0
        )
        assert found == wanted
    assert read.epochs == 1
    shares = {"shares": [0.1, 0.02], "config": QUICK, "verbose": 0}
    several = deltas_by_share(model, dataset().batch(5), **shares)
    assert several == deltas_by_share(model, (X, Y), **shares)


def test_several_inputs_by_name():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    hidden = keras.layers.Dense(6)(keras.layers.Concatenate()([a, b]))
    outputs = keras.layers.Dense(4, "softmax", name="head")(hidden)
    model = keras.Model({"a": a, "b": b}, outputs)
    x = {"a": X[:, 0, 0], "b": X[:, 1, 1, :2]}
    wanted = diff_pruning(model, (x, Y), share=0.5, config=QUICK, verbose=0)
    for data in (dataset(x).batch(4), dataset(x)):
        given, labels = task_arrays("train", model, data)
        assert identical([given["a"], given["b"], labels], [*x.values(), Y])
        found = diff_pruning(model, data, share=0.5, config=QUICK, verbose=0)
        assert found == wanted


BAD = {
    "endless tf.data": (lambda: dataset().batch(4).repeat(), "end.*take"),
    "endless PyDataset": (lambda: Batches(endless=True), "end.*num_batches"),
    "endless iterator": (lambda: itertools.cycle([(X, Y)]), "end.*islice"),
    "no targets": (lambda: dataset().map(lambda x, y: x).batch(4), "elements of type"),
    "dicts": (
        lambda: dataset().map(lambda x, y: {"image": x, "label": y}),
        "elements of type dict",
    ),
    "weights": (lambda: [(X, Y, np.ones(14))].__iter__(), "weights"),
    "weights beside arrays": (lambda: (X, Y, np.ones(14)), "weights"),
    "nothing in it": (lambda: dataset().take(0).batch(4), "without any"),
    "images alone": (lambda: X, "ndarray"),
    "a text": (lambda: "photos/", "str"),
    "a number": (lambda: 3, "int"),
    "other sizes": (lambda: iter([(X, Y), (X[:, :5], Y)]), "shapes .*5, 6, 3"),
    "fewer targets": (lambda: iter([(X, Y[:5])]), r"\(14, 6, 6, 3\), \(5,\)"),
    "texts": (lambda: iter([(np.array(["a"] * 14), Y)]), "numbers"),
    "one-hot": (lambda: dataset(X, np.eye(4)[Y]).batch(5), "labels"),
    "too large a label": (lambda: dataset(X, Y + 1).batch(5), "labels from 1 to 4"),
    "NaN": (lambda: Batches(x=X * np.nan), "finite"),
    "other shape": (lambda: Batches(x=X[:, :5]), "shape"),
}


@pytest.mark.parametrize("argument", ["train", "validation"])
@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case, argument):
    make, text = BAD[case]
    model = MODEL()
    before = state(model)
    data = {"train": (X, Y), "validation": (X, Y), argument: make()}
    with pytest.raises(ValueError, match=f"(?s)`{argument}` to .*{text}"):
        diff_pruning(model, data["train"], data["validation"], config=QUICK, verbose=0)
    assert identical(before, state(model))
