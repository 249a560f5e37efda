"""Bases fitted layer after layer, by reduced-rank regression."""

import contextlib

import keras
import numpy as np

from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.linalg import LowRank
from keras_basisprune.methods._original_targets import OriginalTargets
from keras_basisprune.methods._regression_calls import RegressionCalls


class RegressionBases:
    """Fits each layer to its original outputs, from the inputs of compressed layers.

    Two streams of values run through the network: the original one, and that of the
    layers compressed so far. A layer's kernel `W` is corrected by ridge regression of
    the error of its outputs on its inputs in the second stream (`linalg.RidgeFolds`: as
    strongly as is good for samples that were left out), scaled where its outputs then
    vary less than the original ones, and cut to its rank by the principal components of
    its new outputs. Where the output goes into a sum
    (residual networks), it is fitted so that the sum is right: it also corrects the
    error of the other branch. Where `kh kw cin` is larger than 4,608, or than the
    number of samples (positions of all images), outputs are corrected instead of the
    kernel: samples that don't even determine the correction of a kernel make it little
    better than that of outputs, in a multiple of the time.

    Each layer is computed twice per image, once per stream, at any depth. Of the
    original stream, what layers make at the sampled positions is kept
    (`OriginalTargets`), of the other one all that is still needed: on disk beyond half
    a GiB (`data.spilling`), so that memory does not grow with the number of images.

    Args:
        twin: A `LinearTwin`.
        batches: `KeptBatches`.
        recall: `recall(make)` returns `make()`, or what that returned for the same
            model, layers and batches.
        spectra: Whether `spectrum` is going to be called.
    """

    def __init__(self, twin, batches, recall=lambda make: make(), spectra=False):
        self._calls = calls = RegressionCalls(twin)
        given = calls.traced, calls.fits, batches, spectra
        self._known = recall(lambda: OriginalTargets(*given))
        self._live = LiveValues(calls.traced, batches)

    def spectrum(self, key) -> np.ndarray:
        """Returns the singular values of a layer's outputs, before anything is cut."""
        position = self._calls.places[key]
        return self._calls.fits[position].spectrum(self._known.moments[position])

    def fit(self, cut, fixed, verbose) -> dict[int, LowRank]:
        """Fits all layers, in order.

        Args:
            cut: `cut(key, low_rank)` returns the `LowRank` cut to the rank of that
                layer.
            fixed: Maps the keys of layers that are not fitted to their `LowRank`s.
            verbose: Whether to show a progress bar.

        Returns:
            A dict from keys to full `LowRank`s.
        """
        found: dict[int, LowRank] = {}
        bar = keras.utils.Progbar(
            len(self._calls.keys), verbose=1 if verbose else 0, unit_name="layer"
        )
        fitted = None  # the last of the layers so far, and its new weights
        for position, call in enumerate(self._calls.traced.calls):
            if key := self._calls.keys.get(id(call.op)):
                self._advance(fitted, position)
                if key not in found:
                    found[key] = fixed.get(key) or self._fit_layer(position)
                    bar.add(1)
                fitted = call.op, cut(key, found[key])
        return found

    def _advance(self, fitted, position):
        """Computes the values that calls from `position` on need."""
        if fitted is None:  # up to the first layer both streams are the same
            self._live.advance(position)
            return
        layer, low_rank = fitted
        with _weights(layer, *low_rank.merged()):
            self._live.advance(position)

    def _fit_layer(self, position) -> LowRank:
        fit = self._calls.fits[position]
        return fit.basis(fit.sums(self._live, self._known, position))


@contextlib.contextmanager
def _weights(layer, kernel, bias):
    """Sets other weights, as a context (a shared layer needs its own again)."""
    own = [np.array(keras.ops.convert_to_numpy(w)) for w in layer.weights]
    try:
        set_map(layer, kernel, bias)
        yield
    finally:
        layer.set_weights(own)


def set_map(layer, kernel, bias):
    """Gives a layer of a twin the weights that amount to a matrix, and a bias."""
    for name, value in rule_of(layer).weights_for(layer, kernel).items():
        getattr(layer, name).assign(value)
    layer.bias.assign(bias)
