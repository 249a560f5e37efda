"""Exports on one backend; run by `export_elsewhere_test.py` in a process of its own.

KERAS_BACKEND=jax python tests/export_steps.py FOLDER
"""

import json
import pathlib
import sys
import tempfile

import foreign_layers
import keras
import numpy as np

import keras_basisprune as kbp
from keras_basisprune.export import _elsewhere


def network() -> keras.Model:
    """A trained network with layers and functions of one's own, compiled."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="photo")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, activation=foreign_layers.bent)(x)
    x = keras.layers.BatchNormalization()(foreign_layers.Shifted(0.25)(x))
    x = keras.layers.Flatten()(foreign_layers.Doubled()(x))
    head = keras.layers.Dense(4, "softmax", name="head")(x)
    model = keras.Model(inputs, head, name="own")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images(64, 1), np.arange(64) % 4, epochs=2, verbose=0)
    return model


def heads() -> keras.Model:
    """Two inputs, and outputs by name."""
    one, other = keras.Input((5,), name="one"), keras.Input((3,), name="other")
    x = keras.layers.Concatenate()([keras.layers.Dense(4, "relu")(one), other])
    outputs = {"sum": keras.layers.Dense(2)(x), "kind": keras.layers.Dense(3)(x)}
    return keras.Model({"one": one, "other": other}, outputs)


def images(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (count, 8, 8, 3)).astype("float32")


def error_of(function, *args, **options) -> list:
    """Class and text of the error that a call raises."""
    try:
        function(*args, **options)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["", ""]


def fft() -> keras.Model:
    """A network with an operation that LiteRT does not have built in."""
    inputs = keras.Input((8,))
    real, _ = keras.ops.fft((inputs, 0 * inputs))
    return keras.Model(inputs, real)


def own_in_main() -> keras.Model:
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x + 1

    inputs = keras.Input((4,))
    return keras.Model(inputs, Mine()(inputs))


def main(folder):
    folder = pathlib.Path(folder)
    tempfile.tempdir = str(folder / "temporary")
    pathlib.Path(tempfile.tempdir).mkdir()
    x, model = images(20), network()
    options = {"representative_data": x, "tolerance": None}
    records = {}
    for form in ("float32", "float16", "int8"):
        record = kbp.export_tflite(
            model, folder / f"{form}.tflite", quantization=form, **options
        )
        records[form] = record.max_abs_difference
    labels = ("a", "b", "c", "d")
    kbp.export_tflite(model, folder / "labels.tflite", samples=x, labels=labels)
    records["saved_model"] = kbp.export_saved_model(
        model, folder / "saved", samples=x
    ).max_abs_difference
    two = heads()
    rng = np.random.default_rng(2)
    y = {
        name: rng.standard_normal((6, size)).astype("float32")
        for name, size in (("one", 5), ("other", 3))
    }
    kbp.export_tflite(two, folder / "two.tflite", samples=y)
    kbp.export_saved_model(two, folder / "two", samples=y)
    found = two.predict(y, verbose=0)
    np.savez(folder / "outputs.npz", own=model.predict(x, verbose=0), **y, **found)
    workers = list(_elsewhere._running)
    errors = {
        "fft": error_of(kbp.export_tflite, fft(), folder / "bad.tflite"),
        "main": error_of(kbp.export_tflite, own_in_main(), folder / "bad.tflite"),
        "full": error_of(kbp.export_saved_model, model, folder / "saved"),
    }
    workers[0]._process.kill()  # the next export starts another one
    workers[0]._process.wait()
    kbp.export_tflite(model, folder / "again.tflite", samples=x)
    records["again"] = _elsewhere._running != workers
    found = {
        "backend": keras.backend.backend(),
        "differences": records,
        "errors": errors,
        "left": [p.name for p in pathlib.Path(tempfile.tempdir).iterdir()],
        "workers": len(workers),
    }
    (folder / "told.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
