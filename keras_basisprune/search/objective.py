"""Measures the cost that a search makes small."""

import functools
import math
import pathlib

from keras_basisprune.export import export_tflite
from keras_basisprune.measure import LatencyTable, cost, latency
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.temporary_folder import TemporaryFolder

_KINDS = ("flops", "params", "bytes", "latency")
_TURNS = 5
_TURN_MS = 20  # minimum of a turn: networks of microseconds need many runs


class Objective:
    """Computes the cost that a search makes small.

    `"flops"` and `"params"` are counted (`cost`); `"bytes"` are those of the LiteRT
    file in float32; `"latency"` are milliseconds of that file on this machine, one
    thread: the median of the fastest of five turns.

    Args:
        cost: One of `"flops"`, `"params"`, `"bytes"`, `"latency"`; or a `LatencyTable`,
            which stands for `"latency"`.
        runs: Inferences that are timed for `"latency"` per turn, at least.
        export: A function of a model and a path that writes the LiteRT file and returns
            its record, for another form than float32.

    Attributes:
        kind: The name of the cost.
        table: The `LatencyTable` that was given, or `None`.
    """

    def __init__(self, cost, runs=10, export=None):
        self.table = cost if isinstance(cost, LatencyTable) else None
        self.kind = "latency" if self.table else cost
        check_choice("cost", self.kind, _KINDS, "Or pass a `LatencyTable`.")
        self._runs = runs
        self._export = export or functools.partial(export_tflite, tolerance=None)

    @property
    def counted(self) -> str:
        """The cost by which channels and bases are chosen: `"flops"` or `"params"`."""
        return "flops" if self.kind in ("flops", "latency") else "params"

    def __call__(self, model, counted=None) -> float:
        """Returns the cost of a plain network; `counted` is its `Cost`, if known."""
        if self.kind in ("flops", "params"):
            return float(getattr(counted or cost(model), self.kind))
        with TemporaryFolder() as folder:
            path = pathlib.Path(folder) / "model.tflite"
            size = self._export(model, path).bytes
            if self.kind == "bytes":
                return float(size)
            return self._milliseconds(path)

    def _milliseconds(self, path) -> float:
        """Returns the fastest turn; other load on the machine slows whole turns."""
        medians, runs = [], self._runs
        for _ in range(_TURNS):
            medians.append(latency(path, threads=(1,), runs=runs).litert[1].median_ms)
            runs = max(self._runs, math.ceil(_TURN_MS / min(medians)))
        return min(medians)
