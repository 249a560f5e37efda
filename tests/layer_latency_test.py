import keras
import pytest

import keras_basisprune as kbp


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
    with pytest.raises(ValueError, match="fixed input size. Received: .* `conv`"):
        kbp.layer_latency(kbp.convert(open_sizes))
