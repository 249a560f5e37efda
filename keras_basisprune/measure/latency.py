"""Measures how long one inference takes, in milliseconds."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence

import keras
import numpy as np

from keras_basisprune.export import export_tflite
from keras_basisprune.export.litert_call import litert_call
from keras_basisprune.export.prepare import prepare
from keras_basisprune.export.sample_arrays import random_array
from keras_basisprune.export.signatures import fixed_specs, pack
from keras_basisprune.graph.trace import check_model
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.utils.temporary_folder import TemporaryFolder
from keras_basisprune.utils.types import Path

_BLOCK = 10  # timed runs in a row before the next runtime has its turn
_SEED = 0
_MOST_THREADS = 1024


@dataclasses.dataclass(frozen=True)
class Timing:
    """The spread of the times of single inferences.

    Attributes:
        median_ms: The median, in milliseconds.
        p10_ms: The 10th percentile, in milliseconds.
        p90_ms: The 90th percentile, in milliseconds.
        min_ms: The fastest run, in milliseconds.
        runs: Number of runs that were timed.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    min_ms: float
    runs: int

    def __str__(self):
        return (
            f"{self.median_ms:9.3f} ms   p10 {self.p10_ms:.3f}   "
            f"p90 {self.p90_ms:.3f}   min {self.min_ms:.3f}   ({self.runs} runs)"
        )


@dataclasses.dataclass(frozen=True)
class Latency:
    """The latency of a model on the CPU of this machine.

    The batch size is 1, or the one fixed in the model or file; times are per batch.

    Attributes:
        model: The name of the model, or the path of the file.
        litert: A dict from the number of threads to the `Timing` of LiteRT.
        keras: The `Timing` of Keras with all threads that it uses, as a compiled
            TensorFlow function; `None` for a file, and on other backends.
    """

    model: str
    litert: dict[int, Timing]
    keras: Timing | None

    def __str__(self):
        rows = [
            (f"LiteRT, {threads} thread{'s' if threads > 1 else ''}", timing)
            for threads, timing in self.litert.items()
        ]
        if self.keras is not None:
            rows.append(("Keras (TensorFlow)", self.keras))
        lines = [f"{self.model}: one inference, median"]
        lines += [f"  {label:<20}{timing}" for label, timing in rows]
        return "\n".join(lines)


def latency(
    model_or_path: keras.Model | Path,
    *,
    threads: Sequence[int] = (1, 2),
    runs: int = 50,
    warmup: int = 5,
    input_shape: Sequence[int | None] | None = None,
) -> Latency:
    """Measures the time of one inference on LiteRT, and for a model on Keras too.

    The settings take turns, a few runs each, until all have had `runs` runs, so other
    load on the machine affects all of them alike. Each turn starts with one run that is
    not counted, because the turn before has filled the caches.

    Args:
        model_or_path: A `.tflite` file with any quantization; or a Functional or
            built Sequential `keras.Model` with layers of Keras only, which is
            exported in float32 to a temporary folder.
        threads: The numbers of threads to run LiteRT with.
        runs: Number of runs to time per setting.
        warmup: Number of runs to make before, per setting.
        input_shape: The shape of one sample without the batch dimension, for a model
            with open dimensions; a list or dict of shapes for several inputs.

    Returns:
        A `Latency` record; times are in milliseconds.

    Raises:
        ValueError: If an argument is wrong, or LiteRT can't run the model.

    Example:

    >>> record = latency("small.tflite", threads=(1, 4))
    >>> faster = record.litert[1].median_ms / record.litert[4].median_ms
    """
    threads = _check(threads, runs, warmup)
    if not isinstance(model_or_path, str | os.PathLike):
        check_model("model_or_path", model_or_path, readable=False)
        model = prepare(model_or_path, float32=False)
        with TemporaryFolder() as folder:
            path = pathlib.Path(folder) / "model.tflite"
            _export(model, path, input_shape)
            content, name = path.read_bytes(), model.name
        calls: dict = {}
        if keras.backend.backend() == "tensorflow":
            calls["keras"] = _keras_call(model, input_shape)
    else:
        path = _check_file(model_or_path)
        content, name, calls = path.read_bytes(), str(path), {}
    calls |= {count: _litert_call(content, count, name) for count in threads}
    timings = _measure(calls, runs, warmup)
    return Latency(model=name, keras=timings.pop("keras", None), litert=timings)


def _measure(calls, runs, warmup):
    """Times each of `calls` in turns; returns a `Timing` for each."""
    for call in calls.values():
        for _ in range(warmup):
            call()
    seconds = {name: [] for name in calls}
    for start in range(0, runs, _BLOCK):
        for name, call in calls.items():
            call()
            for _ in range(min(_BLOCK, runs - start)):
                begin = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - begin)
    return {name: _timing(values) for name, values in seconds.items()}


def _timing(seconds):
    p10, median, p90 = np.percentile(np.asarray(seconds) * 1e3, (10, 50, 90))
    return Timing(
        median_ms=float(median),
        p10_ms=float(p10),
        p90_ms=float(p90),
        min_ms=min(seconds) * 1e3,
        runs=len(seconds),
    )


def _litert_call(content, threads, name):
    """Returns a function that runs a file once; its inputs are set beforehand."""
    rng = np.random.default_rng(_SEED)
    try:
        with quiet():
            return litert_call(content, threads, lambda found: _input(found, rng))
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            "Expected `model_or_path` to be runnable by LiteRT. Received: "
            f"{name!r}, refused with: {error} Use what `export_tflite` writes with "
            "its default tolerance."
        ) from error


def _input(details, rng):
    """Returns random data for an input of a file."""
    dtype = np.dtype(details["dtype"])
    if -1 in details["shape_signature"][1:]:
        raise ValueError(
            f"the input {details['name']!r} has open dimensions besides the batch, "
            f"{details['shape_signature'].tolist()}. Export with `input_shape`."
        )
    if details["quantization"][0] and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(
            limits.min, limits.max, details["shape"], dtype, endpoint=True
        )
    spec = keras.InputSpec(shape=tuple(details["shape"]), dtype=dtype.name)
    return random_array(spec, int(details["shape"][0]), rng)


def _keras_call(model, input_shape):
    """Returns a function that runs the model once and waits for the outputs."""
    import tensorflow as tf

    rng = np.random.default_rng(_SEED)
    specs = fixed_specs(model, 1, input_shape)
    inputs = pack(
        model, [tf.constant(random_array(spec, spec.shape[0], rng)) for spec in specs]
    )
    function = tf.function(lambda values: model(values, training=False))
    return lambda: [value.numpy() for value in keras.tree.flatten(function(inputs))]


def _export(model, path, input_shape):
    """Exports in float32, without comparing the outputs of the file."""
    specs = fixed_specs(model, 1, input_shape)
    sample = [np.zeros((1, *spec.shape[1:]), spec.dtype) for spec in specs]
    export_tflite(model, path, samples=sample, tolerance=None, input_shape=input_shape)


def _check(threads, runs, warmup):
    """Raises `ValueError` unless all are whole numbers in a sensible range."""
    several = isinstance(threads, list | tuple) and threads
    counts = [
        check_whole("threads", count, 1, _MOST_THREADS, "Pass (1, 2), for example.")
        for count in (threads if several else [threads])
    ]
    check_whole("runs", runs)
    check_whole("warmup", warmup, 0)
    return tuple(dict.fromkeys(counts))


def _check_file(path):
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            "Expected `model_or_path` to be a `keras.Model` or the path of a '.tflite' "
            f"file. Received: model_or_path of type {type(path).__name__}. Pass one of "
            "the two."
        )
    path = pathlib.Path(path)
    if path.suffix != ".tflite" or not path.is_file():
        raise ValueError(
            "Expected `model_or_path` to be a `keras.Model` or the path of an existing "
            f"'.tflite' file. Received: model_or_path={str(path)!r}. Write one with "
            "`export_tflite`, or load a '.keras' file with `keras.saving.load_model`."
        )
    return path
