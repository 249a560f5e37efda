import re

import numpy as np
import pytest
import tensorflow as tf
from batches import LABELS, A, B, one_input, read, two_inputs

ONE_SHAPE = re.escape("of the shapes {'image': (None, 4)}")


REFUSED = {
    "width": (B[:, :, 0], r"Received: data=\(7, 3\)"),
    "axes": (B, r"Received: data=\(7, 3, 2\)"),
    "in a batch": ([A[:3], B], r"Received: data=\(7, 3, 2\)"),
    "one number": (np.float32(3), r"Received: data=\(\)"),
    "number": (3, r"Received: data=<class 'int'>"),
    "none": (None, r"Received: data=<class 'NoneType'>"),
    "text": ("abc", r"Received: data=<class 'str'>"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses_what_does_not_fit(kind):
    data, received = REFUSED[kind]
    match = f"Expected `data` to hold arrays {ONE_SHAPE}. {received}. Pass an array"
    with pytest.raises(ValueError, match=match):
        read(one_input(), data)


@pytest.mark.parametrize(
    ("data", "received"),
    [
        ([A, B[:5]], "[(7, 4), (5, 3, 2)]"),
        ([B, A], "[(7, 3, 2), (7, 4)]"),
        ({"a": A, "b": B}, "{'a': (7, 4), 'b': (7, 3, 2)}"),
        ([A[0], B], "[(4,), (7, 3, 2)]"),
    ],
)
def test_refuses_for_two_inputs(data, received):
    match = re.escape(
        "Expected `images` to hold arrays of the shapes {'b': (None, 4), "
        f"'a': (None, 3, 2)}}. Received: images={received}. Pass an array, a list or"
    )
    with pytest.raises(ValueError, match=match):
        read(two_inputs(), data, argument="images")


@pytest.mark.parametrize("names", [("b", "c"), ("a",), ("a", "b", "c")])
def test_refuses_other_names(names):
    with pytest.raises(ValueError, match="Expected `data` to hold arrays of the sh"):
        read(two_inputs(), dict.fromkeys(names, A))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_refuses_what_is_not_finite(bad, dtype):
    data = A.astype(dtype)
    data[5, 2] = bad
    match = (
        "Expected `data` to hold finite numbers. Received: NaN or infinity for the "
        "input 'image'. Remove these samples."
    )
    for form in (data, (data, LABELS), [A, data], iter([data])):
        with pytest.raises(ValueError, match=match):
            read(one_input(), form)
    with pytest.raises(ValueError, match="infinity for the input 'b'"):
        read(two_inputs(), [data, B])


EMPTY = {
    "array": (A[:0], r"\(0, 4\)"),
    "array and labels": ((A[:0], LABELS[:0]), r"\(\(0, 4\), \(0,\)\)"),
    "list": ([], r"\[\]"),
    "dict": ({}, "{}"),
    "empty batches": ([A[:0], A[:0]], r"\[\(0, 4\), \(0, 4\)\]"),
    "dataset": (tf.data.Dataset.from_tensor_slices(A).take(0), "<class "),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_refuses_no_samples(kind):
    data, received = EMPTY[kind]
    match = (
        f"Expected `data` to hold at least one sample. Received: data={received}.*"
        f"Pass arrays {ONE_SHAPE}, or an iterable that can be read more than once."
    )
    with pytest.raises(ValueError, match=match):
        read(one_input(), data)


def test_refuses_an_exhausted_generator():
    generator = (A[start : start + 1] for start in range(7))
    (whole,) = np.concatenate(read(one_input(), generator), axis=1)
    np.testing.assert_array_equal(whole, A)
    match = "`data` to hold at least one sample. Received: data=<class 'generator'>"
    with pytest.raises(ValueError, match=match):
        read(one_input(), generator)
