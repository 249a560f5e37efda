"""What workers do for a compensation."""

import dataclasses
import pathlib

import numpy as np

from keras_basisprune.data.on_beam.checked_batches import checked_batches
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import FOLDS
from keras_basisprune.plan import Plan
from keras_basisprune.surgery._compensation import Compensation
from keras_basisprune.surgery._original_outputs import OriginalOutputs
from keras_basisprune.surgery.prune import pruned_calls


class DrawnNumbers:
    """One random number per sample, by which samples are divided into folds."""

    def __init__(self, numbers):
        self._parts = [numbers]

    def __add__(self, other):
        found = DrawnNumbers(None)
        found._parts = self._parts + other._parts
        return found

    def __getstate__(self):
        return {"_parts": [self.all()]}

    def all(self) -> np.ndarray:
        """Returns the numbers, a float32 array, in any order."""
        return np.concatenate(self._parts)

    def limits(self) -> np.ndarray:
        """Returns where the folds begin, all but the first; as `sample_folds` does."""
        numbers = np.sort(self.all())
        ranks = -(-np.arange(1, FOLDS) * len(numbers) // FOLDS)
        return np.append(numbers, np.inf)[ranks]


@dataclasses.dataclass(frozen=True)
class Draw:
    """Draws the numbers of samples."""

    model: WorkerModel

    def start(self):
        model = self.model.load()

        def draw(batches):
            drawn = [
                position_jitter(arrays, 1)[:, 0]
                for arrays in checked_batches(model, batches)
            ]
            return DrawnNumbers(np.concatenate(drawn))

        return draw


class LayerSums:
    """The `RidgeFolds` of some layers, by the positions of their calls."""

    def __init__(self, folds):
        self.folds = folds

    def __add__(self, other):
        for position, found in other.folds.items():
            if position in self.folds:
                self.folds[position].merge(found)
            else:
                self.folds[position] = found
        return self


@dataclasses.dataclass(frozen=True)
class SumUp:
    """Sums up what the corrections of some layers depend on.

    Attributes:
        model: The original.
        plan: The plan, as JSON.
        weights: Path of a file with the weights of the pruned model so far.
        positions: Positions of the layers' calls.
        count: The most positions per map.
        limits: Where the folds begin.
        dtype: Of products, as a string.
    """

    model: WorkerModel
    plan: str
    weights: str
    positions: tuple[int, ...]
    count: int
    limits: np.ndarray
    dtype: str

    def start(self):
        model = self.model.load()
        done = pruned_calls(model, Plan.from_json(self.plan))
        done.model.set_weights(read_weights(self.weights))
        both = Compensation(done, exact=True)

        def add(batches):
            total = LayerSums({})
            for arrays in checked_batches(model, batches):
                total += self._of_batch(both, done.traced, arrays)
            return total

        return add

    def _of_batch(self, both, traced, arrays):
        drawn = position_jitter(arrays, 1)[:, 0]
        folds = np.searchsorted(self.limits, drawn, side="right")
        drawn = [MapPositions(arrays, self.count)], [folds]
        given = traced, [arrays], np.dtype(self.dtype), drawn, self.positions
        known, live = OriginalOutputs(*given), LiveValues(both.new, [arrays], list)
        sums = {}
        for position in self.positions:
            live.advance(position)
            found = both.sums(position, live, known)
            if found is not None:
                sums[position] = found
        return LayerSums(sums)


def write_weights(path, model):
    """Writes the weights of a model, for `read_weights`."""
    weights = model.get_weights()
    np.savez(path, **{f"{i:06d}": weight for i, weight in enumerate(weights)})


def read_weights(path) -> list[np.ndarray]:
    """Returns what `write_weights` wrote, for `set_weights`."""
    with np.load(pathlib.Path(path), allow_pickle=False) as file:
        return [file[name] for name in sorted(file.files)]
