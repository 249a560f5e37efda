"""Times of single layers on this machine, each kind and size measured once."""

import importlib.metadata
import json
import math
import pathlib
import platform
import re
import time
from collections.abc import Sequence

import keras
import numpy as np

from keras_basisprune.export import export_tflite
from keras_basisprune.export.litert_call import litert_call
from keras_basisprune.graph.rewrite import clone
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_shape import check_shape
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.files import write_text
from keras_basisprune.utils.quiet import quiet
from keras_basisprune.utils.temporary_folder import TemporaryFolder
from keras_basisprune.utils.types import Path

_VERSION = 1
_MOST_THREADS = 1024
_WARMUP = 5
_TURNS = 5
_SECONDS = 0.02  # minimum of a turn: layers of microseconds need many runs
# Entries of a layer's config that don't affect its time. LiteRT computes in float32.
_IRRELEVANT = re.compile(
    "name|trainable|dtype|.*_(initializer|regularizer|constraint)|quantization_config"
)
_KERNELS = ("kernel_initializer", "depthwise_initializer", "pointwise_initializer")


class LatencyTable:
    """Milliseconds of single layers on LiteRT in float32, batch size 1.

    A layer is exported alone and timed on the CPU of this machine, which takes about a
    second. That is done once for each class, config (except names, initializers,
    regularizers, constraints, dtypes and trainable flags) and size of the input. No
    random state of Python, NumPy or Keras is changed, so that later results do not
    depend on what was in the table.

    Args:
        path: Where to keep the table: a JSON file, which is read now if it exists, and
            written whole after each new entry. It names the machine (processor, LiteRT
            version). The table of another machine is not used, and is replaced with the
            first entry. `None` (default) keeps the table in memory.
        threads: Number of threads to run LiteRT with.
        runs: The smallest number of runs to time per layer, in five turns; fast layers
            are run more often, for a tenth of a second.

    Raises:
        ValueError: If there is a file at `path` that no `LatencyTable` wrote, or an
            argument is out of its range.

    Example:

    >>> table = LatencyTable("latency.json")
    >>> slow = table.milliseconds(keras.layers.Conv2D(31, 3), (32, 32, 64))
    >>> fast = table.milliseconds(keras.layers.Conv2D(32, 3), (32, 32, 64))
    """

    def __init__(
        self, path: Path | None = None, *, threads: int = 1, runs: int = 30
    ) -> None:
        self._threads = check_whole("threads", threads, 1, _MOST_THREADS)
        self._runs = check_whole("runs", runs)
        self._path = None if path is None else check_path("path", path, "file")
        self._machine = _machine()
        self._known: dict[str, float] = {}
        if self._path is not None:
            if self._path.exists():
                self._known = _read(self._path, self._machine)

    def milliseconds(self, layer: keras.Layer, input_shape: Sequence[int]) -> float:
        """Returns the time of one call of a layer, from the table or measured now.

        Args:
            layer: A layer with one input, built or not. It is not called or changed;
                a clone with random weights is measured.
            input_shape: Shape of its input, without the batch axis.

        Returns:
            Milliseconds: the median of the fastest of five turns.

        Raises:
            ValueError: If sizes of the input are unknown, or LiteRT can't run the
                layer.
        """
        key = self._key(layer, input_shape)
        if key not in self._known:
            self._put(key, self._measure(layer, tuple(input_shape)))
        return self._known[key]

    def record(
        self, layer: keras.Layer, input_shape: Sequence[int], milliseconds: float
    ) -> None:
        """Puts a time into the table that was measured elsewhere.

        Args:
            layer: As in `milliseconds`.
            input_shape: As in `milliseconds`.
            milliseconds: A number > 0.

        Raises:
            ValueError: If `milliseconds` is not such a number, or sizes of the input
                are unknown.
        """
        expected, remedy = "a finite number > 0", "Measure it again."
        milliseconds = check_number(
            "milliseconds", milliseconds, "(0, inf)", expected, remedy
        )
        self._put(self._key(layer, input_shape), milliseconds)

    def _put(self, key, value):
        self._known[key] = value
        if self._path is not None:
            content = {
                "version": _VERSION,
                "machine": self._machine,
                "milliseconds": self._known,
            }
            write_text(self._path, json.dumps(content, indent=1, sort_keys=True))

    def _key(self, layer, input_shape) -> str:
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                "Expected `layer` to be a `keras.layers.Layer`. Received: layer of "
                f"type {type(layer).__module__}.{type(layer).__name__}. Pass one such "
                "as `keras.layers.Conv2D(32, 3)`."
            )
        input_shape = check_shape("input_shape", input_shape)
        if None in input_shape:
            raise ValueError(
                "Expected a model with a fixed input size (no None in `input_shape`). "
                f"Received: an input of shape {input_shape} for `{layer.name}`. Build "
                "the model with a full `keras.Input(shape)`."
            )
        config = {
            name: value
            for name, value in layer.get_config().items()
            if not _IRRELEVANT.fullmatch(name)
        }
        shape = list(input_shape)
        parts = [type(layer).__name__, config, shape, self._threads]
        return json.dumps(parts, sort_keys=True, default=str)

    def _measure(self, layer, shape) -> float:
        inputs = keras.Input(shape, name="input")
        model = keras.Model(inputs, _random(layer)(inputs), name="layer")
        sample = np.random.default_rng(0).standard_normal((1, *shape), np.float32)
        with TemporaryFolder() as folder:
            path = pathlib.Path(folder) / "layer.tflite"
            export_tflite(model, path, samples=sample, tolerance=None)
            with quiet():
                run = litert_call(path.read_bytes(), self._threads, lambda _: sample)
        for _ in range(_WARMUP):
            run()
        return _fastest_median(run, self._runs) * 1e3


def _random(layer):
    """Returns a clone with random weights, without using any global random state."""
    config = layer.get_config()
    unused = [name for name in config if name.endswith(("regularizer", "constraint"))]
    changes = dict.fromkeys(unused)
    for name in config.keys() & set(_KERNELS):
        changes[name] = keras.initializers.RandomNormal(stddev=0.05, seed=0)
    return clone(layer, "layer", dtype="float32", **changes)


def _fastest_median(run, min_runs) -> float:
    """Returns the median seconds that a function takes, in the fastest of some turns.

    Other load on the machine slows whole turns.
    """
    medians = []
    for _ in range(_TURNS):
        seconds, end = [], time.perf_counter() + _SECONDS
        while len(seconds) < min_runs / _TURNS or time.perf_counter() < end:
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
        medians.append(float(np.median(seconds)))
    return min(medians)


def _read(path, machine) -> dict[str, float]:
    """Returns the entries of a file; an empty dict if it is of another machine."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = dict(content["milliseconds"])
        if content["version"] != _VERSION or not all(map(_is_time, known.values())):
            raise ValueError("another version, or times that are not numbers > 0")
        return known if content["machine"] == machine else {}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "Expected `path` to be a file that a `LatencyTable` wrote, or none yet. "
            f"Received: path={str(path)!r}, which failed with "
            f"{type(error).__name__}: {error}. Delete it, or pass another path."
        ) from error


def _is_time(value) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf


def _machine() -> dict[str, str]:
    """Describes the machine, on which times depend."""
    try:
        litert = importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError:
        litert = ""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "litert": litert,
    }


def _processor() -> str:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    named = re.search(r"^(?:model name|Hardware|Model)\s*: *(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor()
