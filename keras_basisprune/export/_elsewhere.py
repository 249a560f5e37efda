"""Exports that need TensorFlow, in a process of its own if Keras runs on another one.

The model is saved as a `.keras` file to a temporary folder, and loaded and exported by
`_worker.py` under TensorFlow. That process is started with the first export (some
seconds), serves the next ones, and ends by itself.
"""

import atexit
import contextlib
import importlib.util
import inspect
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import keras
import numpy as np

from keras_basisprune.export import _convert, _saved_model
from keras_basisprune.export._walk import walk
from keras_basisprune.utils.processes import alone
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_KERAS = ("keras", "keras_hub", "builtins", "tensorflow", "jax", "torch", "numpy")
_LOCK = threading.Lock()


def convert(model, path, specs, settings):
    """Does what `_convert.convert` does, on any backend; takes the same arguments."""
    if keras.backend.backend() == "tensorflow":
        _convert.convert(model, path, specs, settings)
        return
    job = {
        "form": settings.quantization,
        "integer_io": settings.integer_io,
        "allow_tf_ops": settings.allow_tf_ops,
        "bits": settings.bits,
    }
    with TemporaryFolder() as folder:
        if settings.data is not None:
            np.savez(pathlib.Path(folder) / "data.npz", *settings.data)
        _done(model, folder, path, specs, job)


def saved_model(model, path, specs, inputs) -> list:
    """Writes a SavedModel and runs it, on any backend.

    Args:
        model: The `keras.Model`.
        path: Where to write.
        specs: The list of `keras.InputSpec` of its inputs.
        inputs: List of arrays, one per input.

    Returns:
        The outputs of the loaded folder, as a flat list of arrays.
    """
    if keras.backend.backend() == "tensorflow":
        _saved_model.write_saved_model(model, path, specs)
        return _saved_model.run_saved_model(model, path, inputs, specs[0].shape[0])
    with TemporaryFolder() as folder:
        np.savez(pathlib.Path(folder) / "inputs.npz", *inputs)
        _done(model, folder, path, specs, {"form": "saved_model"})
        with np.load(pathlib.Path(folder) / "outputs.npz") as held:
            return [held[f"arr_{at}"] for at in range(len(held.files))]


def _done(model, folder, path, specs, job):
    """Saves a model and has a job done; raises what went wrong there."""
    modules = _modules(model)
    with alone():
        model.save(pathlib.Path(folder) / "model.keras")
    answer = _ask(
        {
            **job,
            "folder": str(folder),
            "to": str(pathlib.Path(path).absolute()),
            "specs": [(list(s.shape), str(s.dtype), s.name) for s in specs],
            "modules": modules,
            "path": [os.path.abspath(place) for place in sys.path],
        }
    )
    if "error" in answer:
        if answer["expected"]:
            raise ValueError(answer["error"])
        raise ValueError(
            "Expected `model` to be a model that TensorFlow can load and export, as "
            f"this needs TensorFlow. Received: model={model.name!r}, which fails there "
            f"with {answer['kind']}: {answer['error']}"
        )


def _modules(model) -> list[str]:
    """Returns the modules that have to be imported before a model can be loaded.

    They are those of the classes of its layers and of functions that these hold, and of
    what is registered with Keras under a name in the model's config.
    """
    config, found = model.to_json(), set()
    for layer in (model, *walk(model)):
        held = [type(layer), *vars(layer).values()]
        found |= {one.__module__ for one in held if _is_named(one)}
    for name, one in keras.saving.get_custom_objects().items():
        if _is_named(one) and f'"{name}"' in config:
            found.add(one.__module__)
    own = sorted(name for name in found if name.split(".")[0] not in _KERAS)
    if "__main__" in own:
        raise ValueError(
            "Expected `model` to hold layers and functions that another process can "
            f"import, since Keras runs on {keras.backend.backend()} and the export "
            "needs TensorFlow. Received: some that are defined in the script or "
            "notebook itself. Move them to a module of their own."
        )
    return own


def _is_named(one) -> bool:
    """Returns whether something is a class or function that can be imported."""
    is_lambda = getattr(one, "__name__", "") == "<lambda>"
    return (inspect.isclass(one) or inspect.isfunction(one)) and not is_lambda


class _Worker:
    """The process under TensorFlow."""

    def __init__(self):
        if importlib.util.find_spec("tensorflow") is None:
            raise ImportError(
                "Exports need TensorFlow, also where Keras runs on "
                f"{keras.backend.backend()}. Run: pip install tensorflow"
            )
        places = [os.path.abspath(place) for place in sys.path]
        environment = {
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "CUDA_VISIBLE_DEVICES": "-1",  # this process may need the memory itself
            "PYTHONPATH": os.pathsep.join(places),
        }
        self.owner = os.getpid()
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "keras_basisprune.export._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        atexit.register(self.end)
        if self._read() is None:
            raise RuntimeError(
                f"TensorFlow could not be started for an export: {self._tail()}"
            )

    def ask(self, job) -> dict | None:
        """Has a job done; `None` if the process has ended before it began."""
        try:
            self._process.stdin.write(f"{json.dumps(job)}\n")
            self._process.stdin.flush()
        except OSError:
            return None
        answer = self._read()
        if answer is None and self._process.wait() == 0:
            return None  # it was ending, for want of jobs
        if answer is None:
            return {
                "error": f"the process ended with code {self._process.returncode}: "
                f"{self._tail()}",
                "kind": "a crash",
                "expected": False,
            }
        return answer

    def end(self):
        """Ends the process."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()
        atexit.unregister(self.end)

    def _read(self) -> dict | None:
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def _tail(self) -> str:
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace")
        return text.strip()[-500:]


_running: list[_Worker] = []


def _ask(job) -> dict:
    """Has a job done by the process under TensorFlow, which is started if needed."""
    with _LOCK:
        if _running and _running[0].owner != os.getpid():
            _running.clear()  # that of the process from which this one was forked
        for _ in range(2):
            if not _running:
                _running.append(_Worker())
            try:
                answer = _running[0].ask(job)
            except BaseException:  # an interrupt: its answer would come later
                _running.pop().end()
                raise
            if answer is not None and answer.get("kind") != "a crash":
                return answer
            _running.pop().end()
            if answer is not None:
                return answer
    raise RuntimeError("TensorFlow could not be started for an export, twice.")
