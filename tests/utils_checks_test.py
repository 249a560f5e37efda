"""The checks of arguments: what passes comes back, what does not is told."""

import fractions
import math
import os
import pathlib

import keras
import numpy as np
import pytest

from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_shape import check_shape
from keras_basisprune.utils.check_whole import check_whole


@pytest.mark.parametrize(
    ("value", "interval", "number"),
    [
        (0.5, "(0, 1]", 0.5),
        (1, "(0, 1]", 1.0),
        (0, "[0, 1)", 0.0),
        (fractions.Fraction(1, 4), "(0, 1)", 0.25),
        (np.float32(0.25), "(0, 1)", 0.25),
        (np.array(3), "[0, inf)", 3.0),
        (math.inf, "[0, inf]", math.inf),
        (-2.5, "(-inf, inf)", -2.5),
    ],
)
def test_numbers(value, interval, number):
    found = check_number("x", value, interval)
    assert found == number
    assert type(found) is float


@pytest.mark.parametrize(
    ("value", "interval", "received"),
    [
        (0, "(0, 1]", "x=0"),
        (1.0, "[0, 1)", "x=1.0"),
        (math.nan, "[0, inf]", "x=nan"),
        (math.inf, "[0, inf)", "x=inf"),
        (10**400, "[0, inf]", "x=1000000"),
        (True, "[0, 1]", "x=True"),
        ("1", "[0, 1]", "x='1'"),
        (np.array([0.5]), "[0, 1]", r"x=an array of shape \(1,\), dtype float64"),
        (np.array(True), "[0, 1]", r"x=an array of shape \(\), dtype bool"),
    ],
)
def test_what_is_no_such_number(value, interval, received):
    with pytest.raises(
        ValueError, match=rf"`x` to be a number in .*Received: {received}"
    ):
        check_number("x", value, interval)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_whole_numbers(value):
    assert check_whole("x", value) == 3
    assert type(check_whole("x", value)) is int


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (0, {}, "a positive integer"),
        (-1, {"least": 0}, "an integer >= 0"),
        (5, {"least": 1, "most": 4}, r"an integer in \[1, 4\]"),
        (2**31, {}, r"an integer in \[1, 2147483647\]"),
        (1.0, {}, "a positive integer"),
        (True, {}, "a positive integer"),
        (np.bool_(True), {}, "a positive integer"),
    ],
)
def test_what_is_no_such_whole_number(value, limits, expected):
    with pytest.raises(ValueError, match=f"`x` to be {expected}. Received: x="):
        check_whole("x", value, **limits)


def test_flags_and_names():
    assert [check_flag("x", v) for v in (True, 0, np.bool_(True))] == [
        True,
        False,
        True,
    ]
    with pytest.raises(ValueError, match="`x` to be True or False. Received: x='no'"):
        check_flag("x", "no")
    check_choice("x", np.str_("a"), ("a", "b"))
    check_choice("x", None, ("a", None))
    text = "`x` to be 'a', 'b' or None. Received: x='c'. Pass 'a', say."
    with pytest.raises(ValueError, match=text):
        check_choice("x", "c", ("a", "b", None))


def test_shapes():
    assert check_shape("x", [np.int64(8), None, 1]) == (8, None, 1)
    assert check_shape("x", np.array([8, 8])) == (8, 8)
    with pytest.raises(ValueError, match=r"`x` to be the shape .* x=\(0, 8\)"):
        check_shape("x", (0, 8))


def test_arrays():
    np.testing.assert_array_equal(check_numeric("x", [[1, 2]]), [[1, 2]])
    assert check_numeric("x", np.ones(2, bool)).dtype == bool
    with pytest.raises(ValueError, match="`x` to hold labels, as one array"):
        check_numeric("x", [[1], [1, 2]], "labels")
    with pytest.raises(ValueError, match=r"shape \(2,\), dtype object"):
        check_numeric("x", np.array([1, None]))


def test_paths(tmp_path):
    assert check_path("x", "a/b") == pathlib.Path("a/b")
    (tmp_path / "file").touch()
    assert check_path("x", tmp_path / "file", "file") == tmp_path / "file"
    assert check_path("x", tmp_path / "new" / "deep", "folder").name == "deep"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    (tmp_path / "link").symlink_to("/no/where")
    for path, write, why in (
        (tmp_path, "file", "leave room for a file.*which is a folder and stays"),
        (tmp_path / "file", "folder", "leave room for a folder.*which is no folder"),
        (tmp_path / "file" / "deep", "file", "be in a folder.*file' is no folder"),
        (tmp_path / "file" / "deep", "folder", "be in a folder.*file' is no folder"),
        (tmp_path / "file" / "deep", "either", "be in a folder.*file' is no folder"),
        (tmp_path / "link", "either", "be no link to nothing.*link to '/no/where'"),
        (tmp_path / "link" / "deep", "file", "be no link to nothing.*link', a link"),
    ):
        with pytest.raises(ValueError, match=f"`x` to {why}"):
            check_path("x", path, write)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_places_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="can't be written to"):
        check_path("x", tmp_path / "file", "file")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_of_any_precision(dtype):
    dense = keras.layers.Dense(2, dtype=dtype, name="wide")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Flatten(), dense])
    check_finite_weights(model)
    dense.bias.assign([np.inf, np.nan])
    outer = keras.Sequential([keras.Input((3,)), model])
    for network in (model, outer):
        match = "Received: 2 NaN or infinite values in layer `wide`"
        with pytest.raises(ValueError, match=match):
            check_finite_weights(network)
