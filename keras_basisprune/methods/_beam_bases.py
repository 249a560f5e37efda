"""Bases fitted by regression on a source that is on many machines."""

import dataclasses
import functools

import numpy as np

from keras_basisprune.data.on_beam.beam_runs import BeamRuns
from keras_basisprune.data.on_beam.checked_batches import checked_batches
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.graph.fit_passes import fit_passes
from keras_basisprune.graph.on_beam.drawn_numbers import DrawnNumbers
from keras_basisprune.graph.on_beam.fit_on_beam import fit_on_beam
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.linalg import LowRank
from keras_basisprune.methods._original_targets import OriginalTargets
from keras_basisprune.methods._regression_bases import set_map
from keras_basisprune.methods._regression_calls import RegressionCalls, layers_apart
from keras_basisprune.scores.activation_bases import basis_of_moments
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.statistics_reader import StatisticsReader
from keras_basisprune.scores.to_decompose import spectrum, to_decompose, twin_of


class BeamBases:
    """Does for a `BeamSource` what a `BasisSource` does, by regression.

    The first pass counts samples, divides them into folds, and sums up the outputs of
    the original, for the ranks and for layers that are not fitted. Each further one
    fits all layers that don't depend on each other.

    Args:
        model: A `keras.Model`.
        found: Its `ToDecompose`.
        source: A `BeamSource`.
    """

    def __init__(self, model, found, source):
        self._model, self._source = model, source
        self._names, self._layers = found.names, found.layer_names()
        self._fitted: dict[str, LowRank] = {}

    @functools.cached_property
    def _runs(self):
        return BeamRuns(self._model, self._source)

    @functools.cached_property
    def _copy(self):
        """The model as workers load it: calls and weights come in their order."""
        model = self._runs.model.load()
        found = to_decompose(model, self._layers)
        return found.names, twin_of(model, found)

    @functools.cached_property
    def _survey(self):
        return self._runs.merged(_DrawAndSumUp(self._runs.model, self._layers))

    def spectrum(self, layer) -> np.ndarray:
        """Returns a layer's singular values, from which a plan can be made."""
        return spectrum(layer, self._whole(self._names[id(layer)]))

    def fit(self, kept):
        """Fits all layers.

        Args:
            kept: `kept(low_rank, name)` returns the positions of the bases to keep.
        """
        names, twin = self._copy
        calls, apart = RegressionCalls(twin), layers_apart(twin)

        def done(key, low):
            name = names[key]
            self._fitted[name] = low
            set_map(twin.layers[key], *low.take(kept(low, name)).merged())

        for key in apart:
            done(key, self._whole(names[key]))

        def fit(position, folds):
            key = calls.keys[id(calls.traced.calls[position].op)]
            done(key, calls.fits[position].basis(folds))

        tensors = {position: fit.tensors for position, fit in calls.fits.items()}
        groups = fit_passes(calls.traced, tensors)
        sampling = self._survey.drawn.sampling()
        network = RegressionSums(self._layers, sampling.samples)
        fit_on_beam(self._runs, sampling, groups, twin.model, network, fit)

    def take(self, layer) -> LowRank:
        """Returns the final basis of a layer, of full rank; only once per layer."""
        return self._fitted.pop(self._names[id(layer)])

    def _whole(self, name) -> LowRank:
        """Returns the basis of the outputs of a layer in the original."""
        names, twin = self._copy
        (layer,) = (twin.layers[key] for key, own in names.items() if own == name)
        return basis_of_moments(layer, self._survey.statistics.moments[name])


@dataclasses.dataclass(frozen=True)
class _Survey:
    """What is known after the first pass."""

    drawn: DrawnNumbers
    statistics: OutputStatistics

    def __add__(self, other):
        drawn = self.drawn + other.drawn
        return _Survey(drawn, self.statistics + other.statistics)


@dataclasses.dataclass(frozen=True)
class _DrawAndSumUp:
    """The work of the first pass."""

    model: WorkerModel
    layers: list[str]

    def start(self):
        model = self.model.load()
        reader = StatisticsReader(model, to_decompose(model, self.layers))

        def read(batches):
            drawn = []
            for arrays in checked_batches(model, batches):
                drawn.append(DrawnNumbers(arrays))
                reader.read([arrays])
            return _Survey(sum(drawn[1:], start=drawn[0]), reader.statistics())

        return read


@dataclasses.dataclass(frozen=True)
class RegressionSums:
    """The `network` of a regression, for `fit_on_beam`."""

    layers: list[str]
    samples: int  # of the source

    def start(self, original, weights, positions):
        found = to_decompose(original, self.layers)
        twin = twin_of(original, found)
        twin.model.set_weights(weights)
        known = RegressionCalls(twin_of(original, found), positions)
        calls = RegressionCalls(twin, positions)

        def sums(arrays, drawn):
            given = known.traced, known.fits, [arrays]
            targets = OriginalTargets(*given, drawn=drawn, of=self.samples)
            live = LiveValues(calls.traced, [arrays], list)
            summed = {}
            for position, fit in calls.fits.items():
                live.advance(position)
                summed[position] = fit.sums(live, targets, position, exact=True)
            return summed

        return sums
