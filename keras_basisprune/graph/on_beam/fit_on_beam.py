"""Fits the layers of a model on a source that is on many machines."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from keras_basisprune.data.on_beam.checked_batches import checked_batches
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.graph.on_beam.drawn_numbers import Sampling
from keras_basisprune.utils.files import staged


def fit_on_beam(runs, sampling, groups, model, network, fit):
    """Fits layers, group after group, with one pass over the source for each.

    Args:
        runs: `BeamRuns`.
        sampling: A `Sampling`.
        groups: What `fit_passes` returned.
        model: The `keras.Model` whose weights change with each fit.
        network: Can be pickled. `network.start(original, weights, positions)` is called
            once per process, with the model of `runs`, the weights of `model` so far,
            and a group. It returns a function that takes a batch (a list of arrays) and
            what `Sampling.of` draws for it, and returns a dict from positions to
            `RidgeFolds`.
        fit: `fit(position, folds)` is called for each layer, in order, with the sum of
            these over all samples.
    """
    path = runs.folder / "weights.npz"
    try:
        for positions in groups:
            weights = {f"{i:06d}": w for i, w in enumerate(model.get_weights())}
            with staged(path) as stage:
                np.savez(stage, **weights)
            work = _SumUp(runs.model, sampling, network, str(path), tuple(positions))
            for position, folds in sorted(runs.merged(work).folds.items()):
                fit(position, folds)
    finally:
        path.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _SumUp:
    """Sums up what the fits of some layers depend on.

    Attributes:
        model: The original.
        sampling: A `Sampling`.
        network: As in `fit_on_beam`.
        weights: Path of the file with the weights so far.
        positions: Positions of the layers' calls.
    """

    model: WorkerModel
    sampling: Sampling
    network: Any
    weights: str
    positions: tuple[int, ...]

    def start(self):
        model = self.model.load()
        with np.load(pathlib.Path(self.weights), allow_pickle=False) as file:
            weights = [file[name] for name in sorted(file.files)]
        sums = self.network.start(model, weights, self.positions)

        def add(batches):
            total = _LayerSums({})
            for arrays in checked_batches(model, batches):
                total += _LayerSums(sums(arrays, self.sampling.of(arrays)))
            return total

        return add


class _LayerSums:
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
