"""Tests of LatencyTable and predicted_latency."""

import json
import random

import keras
import numpy as np
import pytest
from keras import layers

import keras_basisprune as kbp
from keras_basisprune.measure import LatencyTable, predicted_latency


def entries(path):
    return json.loads(path.read_text(encoding="utf-8"))["milliseconds"]


def test_a_layer_is_measured_once(tmp_path):
    path = tmp_path / "new" / "table.json"
    table = LatencyTable(path, runs=5)
    layer = layers.Conv2D(4, 3)
    found = table.milliseconds(layer, (8, 8, 3))
    assert found > 0
    assert not layer.built
    content = path.read_bytes()
    assert list(entries(path).values()) == [found]
    assert table.milliseconds(layers.Conv2D(4, 3), (8, 8, 3)) == found
    assert LatencyTable(path).milliseconds(layer, [8, 8, 3]) == found
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["table.json"]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(4, "relu", kernel_initializer="ones"), (6,)),
        (layers.DepthwiseConv2D(3, strides=2, dtype="mixed_float16"), (8, 8, 3)),
        (layers.SeparableConv1D(4, 3, depthwise_regularizer="l2"), (8, 3)),
        (layers.Conv2DTranspose(4, 3, kernel_constraint="non_neg"), (4, 4, 3)),
        (layers.Dense(4), (5, 6)),
    ],
)
def test_measures_any_kind_of_layer(layer, shape):
    assert LatencyTable(runs=5, threads=2).milliseconds(layer, shape) > 0


def test_a_measurement_draws_no_random_numbers():
    def state():
        numbers = np.random.get_state()[1].tolist()
        return random.getstate(), numbers, keras.random.uniform((3,)).numpy().tolist()

    layer = layers.Conv2D(4, 3)
    keras.utils.set_random_seed(1)
    before = state()
    keras.utils.set_random_seed(1)
    assert LatencyTable(runs=5).milliseconds(layer, (8, 8, 3)) > 0
    assert state() == before


def test_what_does_not_matter(tmp_path):
    path = tmp_path / "table.json"
    table = LatencyTable(path)
    table.record(layers.Conv2D(4, (3, 3), name="one"), (8, 8, 3), 0.25)
    others = [
        layers.Conv2D(4, 3, name="two", trainable=False),
        layers.Conv2D(4, 3, kernel_initializer="ones", bias_initializer="ones"),
        layers.Conv2D(4, 3, kernel_regularizer="l2", activity_regularizer="l1"),
        layers.Conv2D(4, 3, bias_constraint="non_neg", dtype="mixed_bfloat16"),
    ]
    for layer in others:
        assert table.milliseconds(layer, (8, 8, 3)) == 0.25
    others[0].build((None, 8, 8, 3))
    assert table.milliseconds(others[0], np.array([8, 8, 3])) == 0.25
    assert list(entries(path).values()) == [0.25]


def test_what_matters(tmp_path):
    path = tmp_path / "table.json"
    table = LatencyTable(path)
    given = [
        (layers.Conv2D(4, 3), (8, 8, 3)),
        (layers.Conv2D(4, 3), (8, 8, 4)),
        (layers.Conv2D(4, 3), (8, 16, 3)),
        (layers.Conv2D(5, 3), (8, 8, 3)),
        (layers.Conv2D(4, 3, use_bias=False), (8, 8, 3)),
        (layers.Conv2D(4, 3, activation="relu"), (8, 8, 3)),
        (layers.Conv2D(4, 3, strides=2), (8, 8, 3)),
        (layers.Conv2DTranspose(4, 3), (8, 8, 3)),
    ]
    for position, (layer, shape) in enumerate(given):
        table.record(layer, shape, position + 1)
    LatencyTable(path, threads=2).record(*given[0], 9)
    assert sorted(entries(path).values()) == list(range(1, 10))
    again = LatencyTable(path)
    assert [again.milliseconds(*one) for one in given] == list(range(1, 9))
    assert LatencyTable(path, threads=2).milliseconds(*given[0]) == 9


@pytest.mark.parametrize("what", ["machine", "processor", "litert"])
def test_a_table_of_another_machine_is_replaced(tmp_path, what):
    path = tmp_path / "table.json"
    LatencyTable(path).record(layers.Dense(2), (3,), 1.0)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["machine"][what]
    content["machine"][what] += "+"
    path.write_text(json.dumps(content), encoding="utf-8")
    table = LatencyTable(path)
    assert json.loads(path.read_text(encoding="utf-8")) == content
    table.record(layers.Dense(3), (3,), 2.0)
    assert list(entries(path).values()) == [2.0]


VALID = {"version": 1, "machine": {}, "milliseconds": {"key": 1.0}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({**VALID, "version": 2}),
        json.dumps({**VALID, "milliseconds": [1.0]}),
        json.dumps({**VALID, "milliseconds": {"key": "fast"}}),
        json.dumps({**VALID, "milliseconds": {"key": 0}}),
        json.dumps({**VALID, "milliseconds": {"key": float("nan")}}),
    ],
)
def test_broken_files(tmp_path, text):
    path = tmp_path / "table.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="table.json.*Delete it"):
        LatencyTable(path)
    assert path.read_text(encoding="utf-8") == text


def test_errors(tmp_path):
    with pytest.raises(
        ValueError, match="`path` to leave room for a file.*is a folder"
    ):
        LatencyTable(tmp_path)
    with pytest.raises(ValueError, match="`threads` to be .* threads=0"):
        LatencyTable(threads=0)
    with pytest.raises(ValueError, match="`runs` to be .* runs=2.5"):
        LatencyTable(runs=2.5)
    table = LatencyTable()
    for wrong in (0, -1.0, float("inf"), float("nan"), True, "1"):
        with pytest.raises(ValueError, match="Expected `milliseconds` to be a finite"):
            table.record(layers.Dense(2), (3,), wrong)
    with pytest.raises(ValueError, match="fixed input size.*`dense_layer`"):
        table.milliseconds(layers.Dense(2, name="dense_layer"), (None, 3))
    with pytest.raises(ValueError, match="fixed input size"):
        table.record(layers.Conv2D(2, 3), (None, None, 3), 1.0)


def net():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization(beta_initializer="ones")(x)
    shared = layers.Conv2D(6, 1, activation="relu", name="shared")
    x = shared(shared(x))
    x = layers.DepthwiseConv2D(3, name="depth")(x)
    x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, "softmax", name="head")(x))


def test_predicted_latency_adds_up_what_fold_makes(tmp_path):
    path = tmp_path / "table.json"
    table = LatencyTable(path)
    # BatchNormalization gives the first layer its bias.
    table.record(layers.Conv2D(6, 3, padding="same"), (8, 8, 3), 1.0)
    table.record(layers.Conv2D(6, 1, activation="relu"), (8, 8, 6), 0.25)
    table.record(layers.DepthwiseConv2D(3), (8, 8, 6), 4.0)
    table.record(layers.Dense(2, "softmax"), (6,), 8.0)
    content = path.read_bytes()
    model = net()
    assert predicted_latency(model, table) == 1.0 + 2 * 0.25 + 4.0 + 8.0
    assert predicted_latency(kbp.convert(model), table) == 13.5
    assert path.read_bytes() == content


def test_predicted_latency_of_a_decomposed_layer(tmp_path):
    inputs = keras.Input((8, 8, 16))
    model = keras.Model(inputs, layers.Conv2D(16, 3, strides=2, name="conv")(inputs))
    table = LatencyTable(tmp_path / "table.json")
    table.record(layers.Conv2D(3, 3, strides=2, use_bias=False), (8, 8, 16), 1.0)
    table.record(layers.Conv2D(16, 1), (3, 3, 3), 0.5)
    content = (tmp_path / "table.json").read_bytes()
    assert predicted_latency(kbp.convert(model, rank=3), table) == 1.5
    assert (tmp_path / "table.json").read_bytes() == content
