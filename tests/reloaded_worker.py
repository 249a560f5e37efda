"""The whole path on models that were saved by another process.

`python reloaded_worker.py FOLDER` takes every `FOLDER/*.keras`, as the first thing that
its process does with Keras, and writes what it found to `FOLDER/numbers.json`.
"""

import contextlib
import io
import json
import pathlib
import sys

import keras
import numpy as np
from models import outputs, relative_difference

import keras_basisprune as kbp
from keras_basisprune.cli.main import main as command


def lost(model, small, x):
    (before,), (after,) = outputs(model, x), outputs(small, x)
    return float(np.mean((before - after) ** 2))


def steps(path, data):
    """What is done with one model, as a user would, in one process."""
    model, (x, y) = keras.models.load_model(path), data
    before = outputs(model, x)
    loss = "sparse_categorical_crossentropy"
    converted = kbp.convert(model, data=x, verbose=0)
    found = {
        "names": [op.name for op in model.operations],
        "converted": relative_difference(before, outputs(converted, x)),
        "regression": lost(
            model, kbp.convert(model, 4, basis="regression", data=x, verbose=0), x
        ),
        "activations": lost(model, kbp.convert(model, 4, data=x, verbose=0), x),
    }
    scores = {
        "taylor": kbp.scores.channels.taylor(model, (x, y), loss=loss),
        "activation": kbp.scores.channels.activation(model, x),
        "compensated": kbp.scores.channels.compensated(model, x),
        "l2_norm": kbp.scores.channels.l2_norm(model),
    }
    found["scored"] = {name: int(np.isfinite(s).sum()) for name, s in scores.items()}
    bases = kbp.scores.taylor(converted, (x, y), loss=loss)
    found["bases scored"] = len(bases)
    plan = kbp.select_channels(
        model, scores=scores["compensated"], keep=0.6, scope="global"
    )
    small = kbp.compensate(model, plan, x, verbose=0)
    found["pruned"] = lost(model, kbp.prune(model, plan), x)
    found["compensated"] = lost(model, small, x)
    recovery = kbp.Recovery(weights="all", epochs=1)
    history = kbp.recover(small, x, teacher=model, config=recovery, verbose=0)
    found["losses"] = history.history["loss"]
    folded = kbp.fold(kbp.prune(kbp.convert(small, 4, data=x, verbose=0)))
    found["folded"] = relative_difference(
        outputs(kbp.fold(small), x), outputs(small, x)
    )
    found["params"] = [model.count_params(), folded.count_params()]
    if keras.backend.backend() == "tensorflow":
        record = kbp.export_tflite(folded, path.with_suffix(".tflite"), samples=x)
        found["exported"] = float(record.max_abs_difference)
    return found


def search(path, data, folder):
    """`inspect --data` and `compress`, in this order."""
    told = io.StringIO()
    words = [f"--model={path}", f"--data={folder / 'images.npz'}"]
    with contextlib.redirect_stdout(told):
        code = command(["keras-basisprune", "inspect", *words])
    model = keras.models.load_model(path)
    result = kbp.compress(
        model,
        data,
        data,
        max_drop=0.9,
        config=kbp.SearchOptions(samples=40, rounds=1),
        verbose=0,
    )
    return {
        "inspect": [code, "layers decomposed" in told.getvalue()],
        "params": [model.count_params(), result.model.count_params()],
    }


def main(folder):
    folder = pathlib.Path(folder)
    with np.load(folder / "images.npz") as arrays:
        data = arrays["x_train"], arrays["y_train"]
    paths = sorted(folder.glob("*.keras"))
    numbers = {"search": search(paths[0], data, folder)}
    numbers |= {path.stem: steps(path, data) for path in paths}
    (folder / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
