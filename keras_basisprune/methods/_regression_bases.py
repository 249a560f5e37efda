"""Bases fitted layer after layer, by reduced-rank regression."""

import contextlib

import keras
import numpy as np

from keras_basisprune.graph.joined_branch import joined_branch
from keras_basisprune.graph.makes_result import makes_result
from keras_basisprune.graph.map_positions import (
    LARGEST,
    MapPositions,
    take_positions,
)
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import FOLDS, sample_folds
from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg import (
    LowRank,
    RidgeFolds,
    principal_basis,
    variance_factors,
)
from keras_basisprune.scores.activation_bases import floor

# Smaller BatchNormalization factors are raised to this share of the largest, when a
# branch corrects the error of another one.
SMALLEST_FACTOR = 0.1


class RegressionBases:
    """Fits each layer to its original outputs, from the inputs of compressed layers.

    Two streams of values run through the network: the original one, and that of the
    layers compressed so far. A layer's kernel `W` is corrected by ridge regression of
    the error of its outputs on its inputs in the second stream (`linalg.RidgeFolds`: as
    strongly as is good for samples that were left out), scaled where its outputs then
    vary less than the original ones, and cut to its rank by the principal components of
    its new outputs. Where the output goes into a sum
    (residual networks), it is fitted so that the sum is right: it also corrects the
    error of the other branch. Where `kh kw cin` is larger than 4,608, outputs are
    corrected instead of the kernel.

    Each layer is computed twice per image, once per stream, at any depth. Memory does
    not grow with the number of images: values that are still needed, of both streams,
    are on disk beyond half a GiB (`data.spilling`).

    Args:
        twin: A `LinearTwin`.
        batches: `KeptBatches`.
        cut: `cut(key, low_rank)` returns the `LowRank` cut to the rank of that layer.
        fixed: Maps keys to `LowRank`s that are used unchanged.
    """

    def __init__(self, twin, batches, cut, fixed):
        self._keys = {id(layer): key for key, layer in twin.layers.items()}
        self._cut, self._fixed = cut, fixed
        self._trace = trace(twin.model)
        self._consumers = self._trace.consumers()
        self._results = {id(t) for t in keras.tree.flatten(self._trace.outputs)}
        # Values of tensors: original ones, and those after compressed layers.
        self._before = LiveValues(self._trace, batches)
        self._after = self._before.copy()
        self._positions = MapPositions.for_fitting(batches)
        self._folds = sample_folds(batches)

    def fit(self, verbose) -> dict[int, LowRank]:
        """Fits all layers, in order. Returns a dict from keys to full `LowRank`s."""
        found: dict[int, LowRank] = {}
        bar = keras.utils.Progbar(
            len(self._keys), verbose=1 if verbose else 0, unit_name="layer"
        )
        fitted = None  # the last of the layers so far, and its new weights
        for position, call in enumerate(self._trace.calls):
            if key := self._keys.get(id(call.op)):
                self._advance(fitted, position)
                if key not in found:
                    found[key] = self._fixed.get(key) or self._fit_layer(call)
                    bar.add(1)
                fitted = call.op, self._cut(key, found[key])
        return found

    def _advance(self, fitted, position):
        """Computes, in both streams, the values that calls from `position` on need."""
        self._before.advance(position)
        if fitted is None:  # up to the first layer both are the same
            self._after = self._before.copy()
            return
        layer, low_rank = fitted
        with _weights(layer, *low_rank.merged()):
            self._after.advance(position)

    def _fit_layer(self, call) -> LowRank:
        layer = call.op
        kernel, bias = (
            keras.ops.convert_to_numpy(w).astype(np.float64)
            for w in (rule_of(layer).matrix(layer), layer.bias)
        )
        inside = len(kernel) <= LARGEST
        size = len(kernel) if inside else kernel.shape[1]
        found = RidgeFolds(size, kernel.shape[1], FOLDS)
        for inputs, lack, folds in self._samples(call, kernel):
            found.add(inputs if inside else inputs @ kernel, lack, folds)
        found.check(layer.name)
        update = found.update()[0]
        sums = found.together()
        now = kernel if inside else np.eye(size)  # the map of what was added
        new = now + update
        # A branch makes up for errors of others, and results count as they are.
        last = makes_result(call, self._consumers, self._results)
        if not last and not self._branch(call):
            wanted = sums.target_variance(now)
            new = new * variance_factors(new, sums.covariance, wanted)
        target = sums.mean @ now + sums.error + bias
        matrix = new if inside else kernel @ new
        covariance = new.T @ sums.covariance @ new
        through = sums.mean @ new
        return principal_basis(
            matrix, covariance, through, target, floor(layer.compute_dtype)
        )

    def _samples(self, call, kernel):
        """Yields patches of compressed inputs, the error of the outputs, and folds."""
        source = call.input_tensors[0]
        branch, patches = self._branch(call), rule_of(call.op).patches
        both = zip(self._before.of(source), self._after.of(source), strict=True)
        for index, (before, after) in enumerate(both):
            positions = self._positions[index].of_outputs(call.op, after)
            inputs = patches(call.op, after, positions).astype(np.float64)
            if before is after:
                lack = np.zeros((len(inputs), kernel.shape[1]))
            else:
                lack = (patches(call.op, before, positions) - inputs) @ kernel
            if branch:
                lack += self._missing_in_sum(call.op, branch, index, positions)
            folds = self._folds[index]
            yield inputs, lack, np.repeat(folds, len(inputs) // len(folds))

    def _branch(self, call):
        """Returns the sum that the output goes into, if its other tensors are known."""
        branch = joined_branch(call, self._consumers, self._results)
        if branch and all(t in self._after for t in branch.others):
            return branch
        return None

    def _missing_in_sum(self, layer, branch, index, positions):
        """Returns what the layer must add so that the sum equals the original one.

        Channels with a small factor contribute little, so their correction is limited.
        """
        lack = sum(
            _maps(layer, self._before.of(t)[index])
            - _maps(layer, self._after.of(t)[index])
            for t in branch.others
        )
        low = SMALLEST_FACTOR * np.abs(branch.factor).max()
        factor = np.copysign(np.maximum(np.abs(branch.factor), low), branch.factor)
        lack = take_positions(lack, positions)
        return lack.reshape(-1, lack.shape[-1]) / factor


@contextlib.contextmanager
def _weights(layer, kernel, bias):
    """Sets other weights, as a context (a shared layer needs its own again)."""
    own = [np.array(keras.ops.convert_to_numpy(w)) for w in layer.weights]
    try:
        for name, value in rule_of(layer).weights_for(layer, kernel).items():
            getattr(layer, name).assign(value)
        layer.bias.assign(bias)
        yield
    finally:
        layer.set_weights(own)


def _maps(layer, outputs):
    """Returns outputs as an array of shape `(batch, positions, channels)`."""
    if getattr(layer, "data_format", "") == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    return outputs.reshape(len(outputs), -1, outputs.shape[-1])
