import keras
import pytest

import keras_basisprune as kbp
from keras_basisprune.measure import LatencyTable


def model():
    x = inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(64, 3, padding="same", name="wide")(x)
    shared = keras.layers.Conv2D(64, 3, padding="same", name="shared")
    x = shared(shared(x))
    x = keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="same")(x)
    x = keras.layers.Conv2D(4, 1, strides=4, name="narrow")(x)
    return keras.Model(inputs, x)


def test_each_kind_of_layer_is_measured_once():
    converted = kbp.convert(model())
    found = kbp.layer_latency(converted, runs=20)
    assert list(found) == ["wide", "shared", "same", "narrow"]
    assert found["shared"] == 2 * found["same"]  # measured once, called twice
    assert len(set(found.values())) == 4
    assert min(found.values()) > 0


def test_times_of_a_table(tmp_path):
    table = LatencyTable(tmp_path / "table.json", threads=2)
    conv = keras.layers.Conv2D
    table.record(conv(64, 3, padding="same"), (16, 16, 3), 1.0)
    table.record(conv(64, 3, padding="same"), (16, 16, 64), 2.0)
    table.record(conv(4, 1, strides=4), (16, 16, 64), 0.5)
    content = (tmp_path / "table.json").read_bytes()
    found = kbp.layer_latency(kbp.convert(model()), table=table)
    assert found == {"wide": 1.0, "shared": 4.0, "same": 2.0, "narrow": 0.5}
    assert (tmp_path / "table.json").read_bytes() == content


def test_ranks_by_milliseconds():
    converted = kbp.convert(model())
    milliseconds = {"wide": 1.0, "shared": 8.0, "same": 4.0, "narrow": 0.5}
    plan = kbp.allocate(converted, 0.5, cost=milliseconds)
    sizes = {
        "wide": (27, 64),
        "shared": (576, 64),
        "same": (576, 64),
        "narrow": (64, 4),
    }
    spent = 0.0
    for name, (n, cout) in sizes.items():
        share = len(plan.bases[name].indices) * (n + cout) / (n * cout)
        spent += milliseconds[name] * min(share, 1.0)
    assert 0.47 * 13.5 < spent <= 0.5 * 13.5


def test_errors():
    with pytest.raises(ValueError, match="to be a converted model"):
        kbp.layer_latency(model())
    inputs = keras.Input((None, None, 3))
    open_sizes = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="conv")(inputs))
    with pytest.raises(ValueError, match="fixed input size.*Received: .* `conv`"):
        kbp.layer_latency(kbp.convert(open_sizes))
