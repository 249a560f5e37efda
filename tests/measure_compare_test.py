import math

import keras
import pytest
from keras import layers
from models import Doubled

from keras_basisprune import compare
from keras_basisprune.measure import cost


def model(filters, size=8):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(filters, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
        ]
    )


def lines(comparison):
    """The table's rows as lists of words, by label."""
    rows = {}
    for line in str(comparison).splitlines()[2:]:
        cells = [x.strip() for x in line.strip().split("  ") if x.strip()]
        if cells:
            rows[cells[0]] = cells[1:]
    return rows


def test_ratios_by_hand():
    before, after = model(8), model(2)
    compared = compare(before, after)
    assert compared.before == cost(before)
    assert compared.after == cost(after)
    assert compared.params_ratio == 0.25
    assert compared.flops_ratio == 0.25
    assert compared.extra == {}


def test_table():
    compared = compare(
        model(8),
        model(2),
        accuracy=(0.9412, 0.9361),
        val_accuracy=(0.5, 0.75),
        latency_ms=(2.5, 1.25),
        rounds=(10, 12),
    )
    assert str(compared).splitlines()[0].split() == ["before", "after", "removed"]
    assert lines(compared) == {
        "parameters": ["224", "56", "75.0 %"],
        "FLOPs": ["15,552", "3,888", "75.0 %"],
        "weight bytes": ["896", "224", "75.0 %"],
        "accuracy": ["0.9412", "0.9361", "0.51 pp"],
        "val accuracy": ["0.5000", "0.7500", "-25.00 pp"],
        "latency ms": ["2.5", "1.25", "50.0 %"],
        "rounds": ["10", "12", "-20.0 %"],
    }
    assert compared.extra["latency ms"] == (2.5, 1.25)


def test_accuracy_in_percent_is_a_number_like_others():
    compared = compare(model(2), model(2), accuracy=(94.1, 47.05))
    assert lines(compared)["accuracy"] == ["94.1", "47.05", "50.0 %"]


def test_files_are_weighed(tmp_path):
    big, small = tmp_path / "big.tflite", tmp_path / "small.tflite"
    big.write_bytes(b"x" * 4000)
    small.write_bytes(b"x" * 1000)
    compared = compare(model(2), model(2), file_bytes=(big, str(small)))
    assert compared.extra == {"file bytes": (4000, 1000)}
    assert lines(compared)["file bytes"] == ["4,000", "1,000", "75.0 %"]
    assert compare(model(2), model(2), b=(big, 7)).extra == {"b": (4000, 7)}


def test_nothing_before():
    empty = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    compared = compare(empty, empty, hits=(0, 3))
    assert math.isnan(compared.params_ratio)
    assert math.isnan(compared.flops_ratio)
    assert lines(compared)["FLOPs"] == ["0", "0", "-"]
    assert lines(compared)["hits"] == ["0", "3", "-"]


def test_says_what_was_not_counted():
    inputs = keras.Input((6, 4))
    x = Doubled(3, name="doubled")(inputs)
    own = keras.Model(inputs, layers.Dense(2)(x))
    assert str(compare(own, own)).endswith("\n\n  FLOPs without doubled")
    for number in range(6):
        x = layers.Lambda(lambda t: t * t, name=f"l{number}")(x)
    many = compare(own, keras.Model(inputs, x))
    assert "FLOPs without doubled, l0, l1, l2, l3 and 2 more" in str(many)
    assert many.after.uncounted == ("doubled", *(f"l{n}" for n in range(6)))
    assert "FLOPs without" not in str(compare(model(2), model(2)))


def test_unknown_sizes():
    with pytest.raises(ValueError, match="Expected `model` to have a fixed input size"):
        compare(model(8, None), model(2, None))
    compared = compare(model(8, None), model(2, None), input_shape=(8, 8, 3))
    assert compared.before.flops == cost(model(8)).flops


@pytest.mark.parametrize("pair", [0.9, (1,), (1, 2, 3), "ab", {"a": 1, "b": 2}])
def test_refuses_what_is_no_pair(pair):
    with pytest.raises(ValueError, match=r"Expected `accuracy` to be a pair \(before"):
        compare(model(2), model(2), accuracy=pair)


@pytest.mark.parametrize("value", ["missing.tflite", None, (1, 2)])
def test_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match="Expected `size` to hold numbers or paths"):
        compare(model(2), model(2), size=(1, value))


def test_refuses_a_folder(tmp_path):
    with pytest.raises(ValueError, match="`size` .* IsADirectoryError"):
        compare(model(2), model(2), size=(1, tmp_path))


def test_is_frozen():
    with pytest.raises(AttributeError, match="cannot assign to field"):
        compare(model(2), model(2)).before = None
