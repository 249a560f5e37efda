"""Computes bases of layers: of their weights, of their outputs, or by regression."""

import functools

import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.running import remembered
from keras_basisprune.linalg import LowRank
from keras_basisprune.methods._regression_bases import RegressionBases
from keras_basisprune.methods._regression_calls import layers_apart
from keras_basisprune.scores.activation_bases import activation_bases
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.statistics_bases import statistics_bases
from keras_basisprune.scores.summary_on_beam import summary_on_beam
from keras_basisprune.scores.to_decompose import spectrum, twin_of, weight_basis


class BasisSource:
    """Makes a `LowRank` of each layer, and keeps what it has made for a plan.

    Args:
        model: A `keras.Model`.
        found: Its `ToDecompose`.
        basis: `"weights"`, `"activations"` or `"regression"`.
        data: Unlabelled samples, read once; for the basis `"activations"` also an
            `OutputStatistics` or a `BeamSource`; `None` for weights.
        verbose: Whether to show progress bars.
        quick: Whether the spectra of a regression are taken from what it is fitted to,
            at its 30,000 positions; otherwise from 64 positions of each sample, in a
            pass of their own.
    """

    def __init__(self, model, found, basis, data, verbose, quick=False):
        self._model, self._found, self._basis = model, found, basis
        self._data, self._verbose, self._quick = data, verbose, quick
        self._whole: dict[int, LowRank] = {}  # before a regression
        self._fitted: dict[int, LowRank] = {}

    @functools.cached_property
    def _twin(self):
        def make():
            return twin_of(self._model, self._found)

        key = ("twin", tuple(self._found.names.values()))
        return remembered(self._model, self._data, key, make)

    @functools.cached_property
    def _batches(self):
        model, fitted = self._model, self._basis == "regression"
        size = samples_at_once(model)
        if fitted:
            return KeptBatches.of(model, self._data, size)
        return sample_batches(model, None, self._data, "data", size)

    @functools.cached_property
    def _fitting(self):
        names, apart = self._found.names, self._apart
        fitted = tuple(name for key, name in names.items() if key not in apart)

        def recall(make):
            key = ("regression", fitted, self._quick)
            return remembered(self._model, self._data, key, make)

        given = self._twin, self._batches, recall, self._quick
        return RegressionBases(*given)

    def spectrum(self, layer) -> np.ndarray:
        """Returns a layer's singular values, from which a plan can be made."""
        if self._quick and id(layer) not in self._apart:
            return self._fitting.spectrum(id(layer))
        return spectrum(layer, self.whole(layer))

    def whole(self, layer) -> LowRank:
        """Returns a basis of full rank, from which a plan can be made."""
        if self._basis != "weights":
            self._read(self._found.layers, self._verbose)
        elif id(layer) not in self._whole:
            self._whole[id(layer)] = weight_basis(layer)
        return self._whole[id(layer)]

    def fit(self, kept):
        """Fits all layers by regression, if `basis` is `"regression"`.

        Args:
            kept: `kept(low_rank, name)` returns the positions of the bases to keep.
        """
        if self._basis == "activations":
            self._read(self._found.layers, self._verbose)
        if self._basis != "regression":
            return
        names, apart = self._found.names, self._apart
        self._read(apart, False)

        def cut(key, low):
            return low.take(kept(low, names[key]))

        fixed = {key: self._whole[key] for key in apart}
        self._whole, fitting = {}, self._fitting
        del self._fitting  # and all values that it holds
        self._fitted = fitting.fit(cut, fixed, self._verbose)

    def take(self, layer) -> LowRank:
        """Returns the final basis of a layer, of full rank; only once per layer."""
        key = id(layer)
        low = self._fitted.pop(key, None) or self._whole.pop(key, None)
        return low or weight_basis(layer)

    def _read(self, keys, verbose):
        """Computes bases of the outputs on the data, unless that is done already."""
        keys = [key for key in keys if key not in self._whole]
        if not keys:
            return
        if isinstance(self._data, BeamSource):
            self._data = summary_on_beam(self._model, self._found, self._data)
        if isinstance(self._data, OutputStatistics):
            given = self._model, self._found, self._twin, self._data
            self._whole |= statistics_bases(*given, keys)
        else:
            self._whole |= activation_bases(self._twin, keys, self._batches, verbose)

    @functools.cached_property
    def _apart(self) -> list[int]:
        """Returns the layers that a regression does not fit."""
        return layers_apart(self._twin)
