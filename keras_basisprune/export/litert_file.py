"""A `.tflite` file that is run by several LiteRT interpreters at once."""

import concurrent.futures
import os
import pathlib
import queue
import re

import keras
import numpy as np

from keras_basisprune.data.batching.run_batches import run_batches
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.quiet import quiet

_PIECE = 16  # batches that an interpreter runs in a row
_MOST_WORKERS = 1024
_TIE = 1e-3  # of a step


class LiteRTFile:
    """Runs a file on samples; several threads, each with an interpreter of its own.

    Samples go through the file in batches of the size that is written into it, so the
    results don't depend on the number of threads. Memory: the activations of one batch,
    and the float weights of a float16 file, per thread.

    Args:
        content: The bytes of the file.
        workers: Integer, the number of threads; `None` for one per processor that this
            process may use.

    Attributes:
        inputs: A list of `keras.InputSpec`, one per input, in the order of the file: of
            the floats that stand for the integers of a quantised input.
        input: The same list; with this, `sample_batches` takes it for a model.
        outputs: The names of the outputs; those that a model without names for its
            outputs has (`"output_0"`, ...) are in its order.
        batch_size: The batch size of the file; `None` if it is open.

    Raises:
        RuntimeError, ValueError: If LiteRT can't run the file.
    """

    def __init__(self, content, workers=None):
        self._content = content
        self._workers = _workers(workers)
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._made = 0
        interpreter, runner = self._make()
        named = {one["index"]: one for one in runner.get_input_details().values()}
        names = {one["index"]: name for name, one in runner.get_input_details().items()}
        places = [one["index"] for one in interpreter.get_input_details()]
        self.inputs = [_spec(names[place], named[place]) for place in places]
        self.input = self.inputs
        self.outputs = sorted(runner.get_output_details(), key=_numbered)
        self.batch_size = self.inputs[0].shape[0]

    def __call__(self, arrays, progress=None) -> list[np.ndarray]:
        """Runs the file.

        Args:
            arrays: A list of arrays, one per input, of one common length.
            progress: Called with the number of samples whenever some are done; from
                one thread.

        Returns:
            A list of arrays in the order of `outputs`: integers of quantised outputs
            are turned into the floats that they stand for.
        """
        count, size = len(arrays[0]), self.batch_size or 1
        step = size * min(_PIECE, max(1, -(-count // (size * self._workers))))
        pieces = [
            [array[start : start + step] for array in arrays]
            for start in range(0, count, step)
        ]
        with quiet():  # each interpreter logs when it begins
            while self._made < min(self._workers, len(pieces)):
                self._make()
        parts = []
        with concurrent.futures.ThreadPoolExecutor(self._workers) as pool:
            for part in pool.map(self._run, pieces):
                parts.append(part)
                if progress is not None:
                    progress(len(part[0]))
        return [np.concatenate(output) for output in zip(*parts, strict=True)]

    def _run(self, arrays):
        """Runs one piece on an interpreter that is free; the others run meanwhile."""
        runner = self._free.get()
        details, results = runner.get_input_details(), runner.get_output_details()

        def run(batch):
            feed = {
                spec.name: _quantise(array, details[spec.name])
                for spec, array in zip(self.inputs, batch, strict=True)
            }
            found = runner(**feed)
            return [_dequantise(found[name], results[name]) for name in self.outputs]

        try:
            return run_batches(run, arrays, self.batch_size or len(arrays[0]))
        finally:
            self._free.put(runner)

    def _make(self):
        """Makes another interpreter; returns it, and what runs it."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=self._content, num_threads=1)
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner()
        self._free.put(runner)
        self._made += 1
        return interpreter, runner


def open_litert(argument, path, workers=None) -> LiteRTFile:
    """Opens a file.

    Args:
        argument: Name of the argument that the path comes from, for messages.
        path: The path of the file.
        workers: As for `LiteRTFile`.

    Raises:
        ValueError: If there is no such file, or LiteRT can't run it.
    """
    workers = _workers(workers)
    fits = isinstance(path, str | os.PathLike)
    path = pathlib.Path(path) if fits else path
    if not fits or path.suffix != ".tflite" or not path.is_file():
        shown = str(path) if fits else type(path).__name__
        raise ValueError(
            f"Expected `{argument}` to be the path of an existing '.tflite' file. "
            f"Received: {argument}={shown!r}. Write one with `export_tflite`."
        )
    try:
        with quiet():
            return LiteRTFile(path.read_bytes(), workers)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"Expected `{argument}` to be a file that LiteRT can run. Received: "
            f"{argument}={str(path)!r}, refused with: {str(error)[:300]} Use what "
            "`export_tflite` writes with its default tolerance."
        ) from error


def _workers(workers) -> int:
    if workers is None:
        known = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
        return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return check_whole("workers", workers, 1, _MOST_WORKERS, "None uses all.")


def _numbered(name):
    """Sorts `output_10` behind `output_9`, and other names as Keras sorts them."""
    number = re.fullmatch(r"output_(\d+)", name)
    return (int(number[1]), "") if number else (0, name)


def _spec(name, details):
    shape = [None if size < 0 else int(size) for size in details["shape_signature"]]
    if not shape:
        shape = [int(size) for size in details["shape"]]
    dtype = np.dtype(details["dtype"])
    if dtype.kind in "SO":
        dtype = "string"
    elif details["quantization"][0]:
        dtype = "float32"
    return keras.InputSpec(shape=tuple(shape), dtype=str(dtype), name=name)


def _quantise(array, details):
    """Turns numbers into the integers of a quantised tensor; else sets the dtype.

    Pixels that were scaled to [-1, 1] are halfway between two integers, but for errors
    of floats: the larger one is taken.
    """
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"])
    if not scale or dtype.kind not in "iu":
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    steps = np.floor(array.astype("float64") / scale + 0.5 + _TIE) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def _dequantise(array, details):
    """Turns the integers of a quantised tensor into numbers."""
    scale, zero_point = details["quantization"]
    if not scale or array.dtype.kind not in "iu":
        return array
    return (array.astype("float32") - zero_point) * np.float32(scale)
