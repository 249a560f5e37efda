"""Exports under TensorFlow for a process with another backend: see `_elsewhere.py`.

python -m keras_basisprune.export._worker < jobs

Each line of the input is a job, and each line of the output says what became of it. It
ends with the input, or when there was no job for a minute.
"""

import importlib
import inspect
import json
import os
import pathlib
import sys
import threading

import keras
import numpy as np

from keras_basisprune.export import _convert, _saved_model, signatures

_PATIENCE = 60  # seconds without a job


def main():
    """Does jobs until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints must not come between answers
    print(json.dumps({"ready": True}), file=answers, flush=True)
    while line := _line():
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)
        keras.utils.clear_session()


def _line() -> str:
    """Returns the next line; ends the process if there is none for too long."""
    clock = threading.Timer(_PATIENCE, os._exit, (0,))
    clock.daemon = True
    clock.start()
    try:
        return sys.stdin.readline()
    finally:
        clock.cancel()


def _answer(job) -> dict:
    try:
        _export(pathlib.Path(job["folder"]), job)
    except Exception as error:  # converters raise many classes; all are handed on
        kind = type(error).__name__
        expected = isinstance(error, ValueError)
        return {"error": str(error), "kind": kind, "expected": expected}
    return {}


def _export(folder, job):
    sys.path[:] = job["path"]
    with keras.saving.custom_object_scope(_objects(job["modules"])):
        model = keras.saving.load_model(
            folder / "model.keras", compile=False, safe_mode=False
        )
    specs = [
        keras.InputSpec(shape=tuple(shape), dtype=dtype, name=name)
        for shape, dtype, name in job["specs"]
    ]
    if job["form"] == "saved_model":
        _saved_model.write_saved_model(model, job["to"], specs)
        inputs, size = _arrays(folder / "inputs.npz"), specs[0].shape[0]
        found = _saved_model.run_saved_model(model, job["to"], inputs, size)
        np.savez(folder / "outputs.npz", *found)
        return
    data = folder / "data.npz"
    settings = _convert.Settings(
        job["form"],
        _arrays(data) if data.exists() else None,
        job["integer_io"],
        job["allow_tf_ops"],
        signatures.pack(model, specs),
        job["bits"],
    )
    _convert.convert(model, job["to"], specs, settings)


def _objects(modules) -> dict:
    """Imports modules; returns their classes and functions by name."""
    found = {}
    for name in modules:
        values = vars(importlib.import_module(name))
        kinds = inspect.isclass, inspect.isfunction
        found |= {k: v for k, v in values.items() if any(is_a(v) for is_a in kinds)}
    return found


def _arrays(path) -> list:
    with np.load(path) as held:
        return [held[f"arr_{at}"] for at in range(len(held.files))]


if __name__ == "__main__":
    main()
