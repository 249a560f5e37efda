import keras
import numpy as np
import pytest
import tensorflow as tf
from batches import LABELS, A, B, one_input, read, two_inputs

from keras_basisprune.data.sample_batches import sample_batches


def two_named_inputs():
    inputs = {"b": keras.Input((4,), name="b"), "a": keras.Input((3, 2), name="a")}
    outputs = keras.layers.Flatten()(inputs["a"]) * inputs["b"][:, :1]
    return keras.Model(inputs, outputs)


def hold(batches, sizes, *expected):
    """Batches are of these sizes, and one after the other they are `expected`."""
    assert [len(batch[0]) for batch in batches] == sizes
    for batch in batches:
        assert isinstance(batch, list) and len(batch) == len(expected)
        assert {len(part) for part in batch} == {len(batch[0])}
        assert all(isinstance(part, np.ndarray) for part in batch)
    for parts, whole in zip(zip(*batches, strict=True), expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)
        assert parts[0].dtype == whole.dtype


class Sequence(keras.utils.PyDataset):
    """Batches of two samples, as the function `pick` puts them together."""

    def __init__(self, pick):
        super().__init__()
        self._pick = pick

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self._pick(slice(2 * index, 2 * index + 2))


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(None, [7]), (1, [1] * 7), (2, [2, 2, 2, 1]), (7, [7]), (64, [7])],
)
def test_arrays_are_cut(batch_size, sizes):
    hold(read(one_input(), A, batch_size), sizes, A)
    hold(read(two_inputs(), [A, B], batch_size), sizes, A, B)


ONE = {
    "array": lambda: A,
    "tensor": lambda: tf.constant(A),
    "list": lambda: [A],
    "tuple": lambda: (A,),
    "dict": lambda: {"image": A},
    "labels": lambda: (A, LABELS),
    "one-hot labels": lambda: (A, np.eye(7)),
    "labels of the same shape": lambda: (A, A + 1),
    "labels and weights": lambda: (A, LABELS, np.ones(7)),
    "list and labels": lambda: ([A], LABELS),
    "dict and labels": lambda: ({"image": A}, LABELS),
}


@pytest.mark.parametrize("form", ONE)
def test_forms_of_one_input(form):
    hold(read(one_input(), ONE[form](), 3), [3, 3, 1], A)


TWO = {
    "list": lambda: [A, B],
    "tuple": lambda: (A, B),
    "tensors": lambda: [tf.constant(A), tf.constant(B)],
    "dict": lambda: {"b": A, "a": B},
    "dict in another order": lambda: {"a": B, "b": A},
    "list and labels": lambda: ([A, B], LABELS),
    "tuple and labels": lambda: ((A, B), LABELS),
    "dict and labels": lambda: ({"a": B, "b": A}, LABELS),
    "labels and weights": lambda: ((A, B), LABELS, np.ones(7)),
}


@pytest.mark.parametrize("form", TWO)
def test_forms_of_two_inputs(form):
    hold(read(two_inputs(), TWO[form](), 3), [3, 3, 1], A, B)


@pytest.mark.parametrize("form", [x for x in TWO if "dict" in x])
def test_dicts_of_a_model_of_dicts(form):
    model = two_named_inputs()
    first = [t.name for t in model.inputs].index("b")
    expected = (A, B) if first == 0 else (B, A)
    hold(read(model, TWO[form](), 3), [3, 3, 1], *expected)


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(None, [4, 3]), (3, [3, 1, 3]), (4, [4, 3]), (64, [4, 3])],
)
def test_tf_data(labelled, batch_size, sizes):
    """Batches are cut where they are too large, and never put together."""
    data = tf.data.Dataset.from_tensor_slices((A, LABELS) if labelled else A)
    hold(read(one_input(), data.batch(4), batch_size), sizes, A)
    hold(read(one_input(), data.batch(4), batch_size), sizes, A)  # again


def test_tf_data_of_single_samples():
    data = tf.data.Dataset.from_tensor_slices((A, LABELS))
    hold(read(one_input(), data, 3), [1] * 7, A)
    hold(read(one_input(), data.map(lambda x, _: x)), [1] * 7, A)


@pytest.mark.parametrize("form", [x for x in TWO if "dict" in x or "labels" in x])
def test_tf_data_of_two_inputs(form):
    arrays = keras.tree.map_structure(np.asarray, TWO[form]())
    if isinstance(arrays, tuple) and isinstance(arrays[0], list):
        arrays = (tuple(arrays[0]), *arrays[1:])  # a list is one tensor to tf.data
    data = tf.data.Dataset.from_tensor_slices(arrays).batch(5)
    hold(read(two_inputs(), data), [5, 2], A, B)


@pytest.mark.parametrize(
    "pick",
    [
        lambda part: A[part],
        lambda part: (A[part], LABELS[part]),
        lambda part: (A[part], LABELS[part], np.ones(7)[part]),
        lambda part: {"image": A[part]},
    ],
)
def test_py_dataset(pick):
    data = Sequence(pick)
    hold(read(one_input(), data), [2, 2, 2, 1], A)
    hold(read(one_input(), data, 1), [1] * 7, A)


def test_py_dataset_of_two_inputs():
    data = Sequence(lambda part: ((A[part], B[part]), LABELS[part]))
    hold(read(two_inputs(), data, 64), [2, 2, 2, 1], A, B)


@pytest.mark.parametrize(
    "pick",
    [
        lambda part: [A[part], B[part]],
        lambda part: (A[part], B[part]),
        lambda part: {"b": A[part], "a": B[part]},
        lambda part: ([A[part], B[part]], LABELS[part]),
    ],
)
def test_iterables_of_two_inputs(pick):
    parts = [pick(slice(0, 4)), pick(slice(4, 7))]
    hold(read(two_inputs(), (part for part in parts), 3), [3, 1, 3], A, B)


@pytest.mark.parametrize(
    "pick", [lambda part: A[part], lambda part: (A[part], LABELS[part])]
)
def test_generators(pick):
    def batches():
        for start in range(0, 7, 3):
            yield pick(slice(start, start + 3))

    hold(read(one_input(), batches(), 2), [2, 1, 2, 1, 1], A)
    hold(read(one_input(), list(batches())), [3, 3, 1], A)


def test_a_generator_is_read_batch_by_batch():
    seen = []

    def batches():
        for start in range(7):
            seen.append(start)
            yield A[start : start + 1]

    model = one_input()
    specs = [keras.InputSpec(shape=(None, 4), name="image")]
    reading = sample_batches(model, specs, batches(), "data")
    for count in (1, 2, 3):
        np.testing.assert_array_equal(next(reading)[0], A[count - 1 : count])
        assert seen == list(range(count))


def test_single_samples():
    hold(read(one_input(), A[2]), [1], A[2:3])
    hold(read(one_input(), list(A), 4), [1] * 7, A)
    hold(read(two_inputs(), [A[2], B[2]]), [1], A[2:3], B[2:3])
    hold(read(two_inputs(), {"a": B[2], "b": A[2]}), [1], A[2:3], B[2:3])


def test_empty_batches_are_left_out():
    hold(read(one_input(), [A[:0], A[:3], A[3:3], A[3:]], 4), [3, 4], A)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64"])
def test_dtypes_stay(dtype):
    x = np.arange(28).reshape(7, 4).astype(dtype)
    hold(read(one_input(), x, 5), [5, 2], x)


def test_open_sizes():
    inputs = keras.Input((None, None, 3), name="image")
    model = keras.Model(inputs, inputs * 2.0)
    large, small = np.ones((2, 8, 9, 3), "float32"), np.ones((3, 5, 4, 3), "float32")
    batches = read(model, [large, small])
    assert [batch[0].shape for batch in batches] == [(2, 8, 9, 3), (3, 5, 4, 3)]
