import dataclasses

import keras
import numpy as np
import pytest

from keras_basisprune.export import export_tflite
from keras_basisprune.measure.latency import Latency, Timing, latency


def net(size=16):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="net")


def check(timing, runs):
    assert timing.runs == runs
    assert 0 < timing.min_ms <= timing.p10_ms <= timing.median_ms <= timing.p90_ms


def test_model_is_measured_on_keras_and_litert():
    model = net()
    before = [weight.copy() for weight in model.get_weights()]
    record = latency(model, runs=12, warmup=1)
    assert record.model == "net"
    assert list(record.litert) == [1, 2]
    for timing in (*record.litert.values(), record.keras):
        check(timing, runs=12)
    text = str(record)
    assert "LiteRT, 1 thread " in text and "LiteRT, 2 threads" in text
    assert "Keras" in text and " ms " in text
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_file_is_measured_on_litert(tmp_path, quantization):
    data = np.random.default_rng(0).normal(size=(8, 16, 16, 3))
    export_tflite(
        net(),
        tmp_path / "a.tflite",
        quantization=quantization,
        representative_data=data,
    )
    record = latency(tmp_path / "a.tflite", threads=1, runs=5, warmup=0)
    assert record.model == str(tmp_path / "a.tflite")
    assert record.keras is None and list(record.litert) == [1]
    check(record.litert[1], runs=5)


def test_integer_inputs_and_several_inputs():
    tokens = keras.Input((4,), dtype="int32")
    vector = keras.Input((3,))
    x = keras.layers.Flatten()(keras.layers.Embedding(2, 3)(tokens))
    model = keras.Model([tokens, vector], keras.layers.Concatenate()([x, vector]))
    check(latency(model, threads=(1,), runs=3).litert[1], runs=3)


def test_open_dimensions_need_an_input_shape(tmp_path):
    model = net(size=None)
    with pytest.raises(ValueError, match="Expected `input_shape`"):
        latency(model)
    record = latency(model, threads=(1,), runs=2, input_shape=(12, 12, 3))
    check(record.keras, runs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_or_path": "missing.tflite"}, "existing '.tflite' file.*missing"),
        ({"model_or_path": keras.Sequential()}, "`model` to be a built Functional"),
        ({"threads": (0,)}, "`threads` to be an integer in .1, 1024.*threads=0"),
        ({"threads": ()}, "`threads` to be an integer in .1, 1024"),
        ({"runs": 0}, "`runs` to be a positive integer.*runs=0"),
        ({"warmup": 1.5}, "`warmup` to be an integer >= 0.*warmup=1.5"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        latency(**{"model_or_path": net(), **arguments})


def test_broken_file_is_named(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"no flatbuffer at all")
    with pytest.raises(ValueError, match="to be runnable by LiteRT.*a.tflite"):
        latency(tmp_path / "a.tflite")


def test_records_are_frozen():
    timing = Timing(median_ms=1.0, p10_ms=0.5, p90_ms=2.0, min_ms=0.4, runs=3)
    record = Latency(model="a", litert={4: timing}, keras=None)
    assert "LiteRT, 4 threads       1.000 ms" in str(record)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.model = "b"
