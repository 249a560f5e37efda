"""Bases fitted layer after layer, by reduced-rank regression."""

import contextlib
import math

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.graph.joined_branch import joined_branch
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.patches import patches
from keras_basisprune.graph.position_jitter import position_jitter
from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.sampled_positions import sampled_positions
from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg import LowRank, Moments, principal_basis, ridge_update

# Samples (image positions) that each layer is fitted on, at most.
SAMPLES = 30_000
# Strength of the ridge, relative to the mean variance of a layer's inputs.
RIDGE = 0.01
# Largest `kh kw cin` for which the regression is on input patches.
LARGEST = 4608
# BatchNormalization factors are taken as this share of the largest at least, when a
# branch is to make up for what another one lacks.
WEAK = 0.1


class RegressionBases:
    """Fits each layer to its original outputs, from what compressed layers deliver.

    Two streams of values run through the network, the original one and that of the
    compressed layers so far. A layer's kernel `W` is corrected by ridge regression of
    what its outputs lack on the inputs that it gets in the second stream, and cut to
    its rank by the principal components of its new outputs. Where the output goes into
    a sum (residual networks), it is fitted so that the sum is right: what the other
    branch lacks is made up for. Where `kh kw cin` is larger than 4,608, the correction
    is one of the outputs instead of the kernel.

    Each layer is computed twice per image, once per stream, whatever the depth. Memory:
    all values that are still needed, of both streams, for all images.

    Args:
        twin: A `LinearTwin`.
        batches: An iterable of lists of arrays, one per input; read once.
        cut: `cut(key, low_rank)` returns the `LowRank` cut to the rank of that layer.
        floor: Maps a layer's compute dtype to the floor of `principal_basis`.
        fixed: Maps keys to `LowRank`s that are taken as they are.
    """

    def __init__(self, twin, batches, cut, floor, fixed):
        self._keys = {id(layer): key for key, layer in twin.layers.items()}
        self._cut, self._floor, self._fixed = cut, floor, fixed
        self._trace = trace(twin.model)
        self._consumers = self._trace.consumers()
        self._results = {id(t) for t in keras.tree.flatten(self._trace.outputs)}
        self._last = _last_uses(self._trace)
        inputs = [id(t) for t in keras.tree.flatten(self._trace.inputs)]
        arrays = map(list, zip(*batches, strict=True))
        # Values of tensors, by id: as they were, and as compressed layers make them.
        # Each is a list of batches.
        self._before = dict(zip(inputs, arrays, strict=True))
        self._after = dict(self._before)
        count = sum(map(len, self._before[inputs[0]]))
        most = max(1, math.ceil(SAMPLES / count))
        self._jitter = [
            position_jitter(arrays, most)
            for arrays in zip(*self._before.values(), strict=True)
        ]

    def fit(self, verbose) -> dict[int, LowRank]:
        """Fits all layers, in order. Returns a dict from keys to full `LowRank`s."""
        found: dict[int, LowRank] = {}
        bar = tqdm(total=len(self._keys), unit="layer", disable=not verbose)
        pending, fitted = (
            [],
            None,
        )  # the calls since the last layer, and its new weights
        for position, call in enumerate(self._trace.calls):
            if key := self._keys.get(id(call.op)):
                self._advance(pending, fitted, position)
                if key not in found:
                    found[key] = self._fixed.get(key) or self._fit_layer(call)
                    bar.update()
                pending, fitted = [], self._cut(key, found[key])
            pending.append(call)
        bar.close()
        return found

    def _advance(self, calls, fitted, position):
        """Computes, in both streams, what calls from `position` on need.

        The first of `calls` is that of the layer that was `fitted` last, if any.
        """
        made = {id(t) for call in calls for t in call.output_tensors}
        wanted = {key for key in made if self._last.get(key, -1) >= position}
        before = after = run_calls(calls, self._before, wanted)
        if fitted:
            with _weights(calls[0].op, *fitted.merged()):
                after = run_calls(calls, self._after, wanted)
        for values, new in ((self._before, before), (self._after, after)):
            values.update(new)
            for key in [k for k in values if self._last.get(k, -1) < position]:
                del values[key]

    def _fit_layer(self, call) -> LowRank:
        layer = call.op
        kernel, bias = (
            keras.ops.convert_to_numpy(w).astype(np.float64)
            for w in (layer.kernel, layer.bias)
        )
        kernel = kernel.reshape(-1, kernel.shape[-1])
        inside = len(kernel) <= LARGEST
        moments = Moments(len(kernel) if inside else kernel.shape[1], kernel.shape[1])
        for inputs, lack in self._samples(call, kernel):
            moments.add(inputs if inside else inputs @ kernel, lack)
        moments.check(layer.name)
        update = ridge_update(moments.covariance, moments.cross_covariance, RIDGE)
        now = moments.mean @ kernel if inside else moments.mean
        target = now + moments.other_mean + bias
        if inside:
            matrix = kernel + update
            covariance = matrix.T @ moments.covariance @ matrix
            through = moments.mean @ matrix
        else:
            turn = np.eye(len(update)) + update
            matrix = kernel @ turn
            covariance = turn.T @ moments.covariance @ turn
            through = moments.mean @ turn
        return principal_basis(
            matrix, covariance, through, target, self._floor(layer.compute_dtype)
        )

    def _samples(self, call, kernel):
        """Yields patches of compressed inputs, and what the outputs lack with them."""
        source = id(call.input_tensors[0])
        branch = self._branch(call)
        both = zip(self._before[source], self._after[source], strict=True)
        for index, (before, after) in enumerate(both):
            size = output_positions(call.op, after.shape)
            positions = sampled_positions(size, self._jitter[index])
            inputs = patches(call.op, after, positions).astype(np.float64)
            if before is after:
                lack = np.zeros((len(inputs), kernel.shape[1]))
            else:
                lack = (patches(call.op, before, positions) - inputs) @ kernel
            if branch:
                lack += self._lack_of_others(call.op, branch, index, positions)
            yield inputs, lack

    def _branch(self, call):
        """The sum that the output goes into, if its other tensors are there."""
        branch = joined_branch(call, self._consumers, self._results)
        if branch and all(id(t) in self._after for t in branch.others):
            return branch
        return None

    def _lack_of_others(self, layer, branch, index, positions):
        """What the layer would have to add so that the sum is as it was.

        Channels whose factor is small can do little, and are not asked for much.
        """
        lack = sum(
            _maps(layer, self._before[id(t)][index])
            - _maps(layer, self._after[id(t)][index])
            for t in branch.others
        )
        least = WEAK * np.abs(branch.factor).max()
        factor = np.copysign(np.maximum(np.abs(branch.factor), least), branch.factor)
        if positions.ndim == 1:
            lack = lack[:, positions]
        else:
            lack = np.take_along_axis(lack, positions[..., None], axis=1)
        return lack.reshape(-1, lack.shape[-1]) / factor


@contextlib.contextmanager
def _weights(layer, kernel, bias):
    """Gives a layer other weights for a while (a shared layer is called again)."""
    own = [np.array(keras.ops.convert_to_numpy(w)) for w in layer.weights]
    try:
        layer.set_weights([kernel.reshape(layer.kernel.shape), bias])
        yield
    finally:
        layer.set_weights(own)


def _maps(layer, outputs):
    """Outputs as an array of shape `(batch, positions, channels)`."""
    if getattr(layer, "data_format", "") == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    return outputs.reshape(len(outputs), -1, outputs.shape[-1])


def _last_uses(traced) -> dict[int, int]:
    """Maps `id(tensor)` to the position of the last call that reads it."""
    return {
        id(t): position
        for position, call in enumerate(traced.calls)
        for t in call.input_tensors
    }
