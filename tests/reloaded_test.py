"""Models whose layers and operators have the names that Keras gives first.

Keras counts names from zero in every process. What is added to the graph of a model
that another process has saved must not be named like what is in it.
"""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops
from models import randomize
from other_backend import run_on, skip_without


def ended(inputs, x):
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(3, activation="softmax")(x)))


def added():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), x])
    return ended(inputs, layers.Conv2D(6, 3, activation="relu")(x))


def squeezed():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    s = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    s = layers.Conv2D(4, 1, activation="relu")(s)
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(s)])
    return ended(inputs, layers.Conv2D(6, 3, activation="relu")(x))


def operators():
    """The functions that mean sizes and sampled positions are computed by, too."""
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs * 2.0)
    x = x + abs(x)
    x = ops.concatenate([x, -x], axis=-1)
    x = layers.Conv2D(8, 3, activation="relu")(x + x)
    x = ops.reshape(ops.moveaxis(x, 1, 2), (-1, 10, 10, 8)) / 2.0
    x = ops.minimum(x, ops.mean(x, axis=(1, 2), keepdims=True) + 4.0)
    return ended(inputs, layers.Conv2D(6, 3, activation="relu")(x))


MODELS = {
    "added": (added, {"add", "concatenate"}),
    "operators": (
        operators,
        {"add", "absolute", "mean", "minimum", "moveaxis", "multiply", "reshape"},
    ),
    "squeezed": (squeezed, {"multiply", "reshape"}),
}


def save_models(folder):
    for name, (make, _) in MODELS.items():
        keras.utils.clear_session()  # names are counted as in a process of its own
        keras.utils.set_random_seed(0)
        make().save(folder / f"{name}.keras")
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = rng.uniform(0, 0.6, (48, 12, 12, 3)) + 0.2 * labels[:, None, None, None]
    np.savez(folder / "images.npz", x_train=images.astype("float32"), y_train=labels)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_whole_path_in_a_fresh_process(backend, tmp_path):
    skip_without(backend)
    save_models(tmp_path)
    run_on(backend, "reloaded_worker.py", tmp_path)
    numbers = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    search = numbers.pop("search")
    assert search["inspect"] == [0, True]
    assert search["params"][1] < search["params"][0]
    assert set(numbers) == set(MODELS)
    for name, found in numbers.items():
        assert set(found["names"]) >= MODELS[name][1], name
        assert found["converted"] <= 1e-5, name
        assert found["folded"] <= 1e-5, name
        assert max(found["regression"], found["activations"]) < 0.01, name
        assert found["compensated"] < found["pruned"], name
        assert len(set(found["scored"].values())) == 1, name
        assert found["scored"]["taylor"] > 10, name
        assert found["bases scored"] == (4 if name == "squeezed" else 3), name
        assert np.isfinite(found["losses"]).all(), name
        assert found["params"][1] < found["params"][0], name
        assert (backend != "tensorflow") or found["exported"] <= 1e-4, name
