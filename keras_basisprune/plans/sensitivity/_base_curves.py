"""The loss of a network's outputs as the bases of one layer are removed."""

import collections
import dataclasses

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.trace import trace
from keras_basisprune.linalg import Moments, principal_basis
from keras_basisprune.plans.sensitivity._judged_network import JudgedNetwork, restored
from keras_basisprune.plans.sensitivity.loss_curve import LossCurve
from keras_basisprune.scores.to_decompose import to_decompose
from keras_basisprune.surgery.linear_call import LinearCall

_POSITIONS = 64  # per image and map, at most


def base_curves(
    copy, original, fitted, judged, shares, verbose
) -> tuple[list[LossCurve], float]:
    """Measures the `LossCurve` of the bases of each layer's outputs.

    Shares are those of the ranks at which two layers cost less than one.

    Args:
        copy: A copy of the model, whose weights are changed, and restored.
        original: The model whose outputs are wanted, or `None` for those of `copy`.
        fitted: Batches that bases are computed from.
        judged: Batches that the loss is measured on.
        shares: Descending floats in (0, 1).
        verbose: Whether to show a progress bar.

    Returns:
        A pair of a list of curves, and of the loss before anything is removed. Layers
        whose matrix can't be set have none.
    """
    traced = trace(copy)
    layers = _layers(traced, to_decompose(copy))
    _add_statistics(traced, layers, fitted)
    network = JudgedNetwork(traced, original, judged)
    curves = []
    for layer in tqdm(layers, unit="layer", disable=not verbose):
        network.advance(layer.position)
        curves.append(layer.curve(network, shares))
    return curves, network.loss


@dataclasses.dataclass
class _Layer:
    """A layer that can be decomposed, and the moments of its outputs."""

    name: str
    position: int
    linear: LinearCall
    matrix: np.ndarray
    moments: Moments

    def add(self, values, positions):
        """Adds a batch of its inputs."""
        size = output_positions(self.linear.op, values.shape)
        rows = self.linear.patches(values, positions.of_map(size))
        self.moments.add(rows @ self.matrix)

    def curve(self, network, shares) -> LossCurve:
        """Measures the losses at some ranks; weights are restored."""
        n, cout = self.matrix.shape
        mean, rank = self.moments.mean, min(n, cout)
        second, offset = self.moments.covariance, self.linear.offset
        if offset is None:  # nothing can restore the mean
            second = second + np.outer(mean, mean)
        low = principal_basis(self.matrix, second, mean, mean)
        most = min(rank - 1, -(-n * cout // (n + cout)) - 1)
        ranks = sorted({max(1, round(share * most)) for share in shares if most > 0})
        axes = low.kernel / low.singular_values[:, None]
        variables = [*self.linear.op.weights, *([] if offset is None else [offset[1]])]
        losses = []
        for kept in ranks[::-1]:
            within = axes[:kept].T @ axes[:kept]
            with restored(variables):
                self.linear.assign(self.matrix @ within)
                if offset is not None:
                    sign, weight = offset
                    shift = sign * (mean - mean @ within)
                    weight.assign(keras.ops.convert_to_numpy(weight) + shift)
                loss = network.loss_from(self.position) - network.loss
            losses.append(max(0.0, loss))
        spectrum = low.singular_values[:0:-1] ** 2
        errors = np.cumsum(spectrum) / ((low.singular_values**2).sum() or 1.0)
        return LossCurve(
            self.name,
            "bases",
            rank,
            tuple(range(rank - 1, 0, -1)),
            tuple(map(float, errors)),
            tuple(rank - kept for kept in ranks[::-1]),
            tuple(map(float, losses)),
        )


def _layers(traced, found) -> list[_Layer]:
    """Returns the layers to decompose, by their first calls."""
    readers, layers = traced.consumers(), {}
    counts = collections.Counter(id(call.op) for call in traced.calls)
    for position, call in enumerate(traced.calls):
        key = id(call.op)
        if key in layers or key not in found.layers:
            continue
        if not LinearCall.can_be_fitted(call.op):
            continue
        linear = LinearCall(call, readers, counts)
        matrix = linear.matrix
        if linear.settable(matrix):
            moments = Moments(matrix.shape[1])
            layers[key] = _Layer(found.names[key], position, linear, matrix, moments)
    return list(layers.values())


def _add_statistics(traced, layers, batches):
    """Runs the network once, batch by batch, for the moments of all layers."""
    inputs = [id(tensor) for tensor in keras.tree.flatten(traced.inputs)]
    wanted = {id(layer.linear.tensor) for layer in layers} - set(inputs)
    for arrays in batches:
        positions = MapPositions(arrays, _POSITIONS)
        values = dict(zip(inputs, ([array] for array in arrays), strict=True))
        values |= run_calls(traced.calls, values, wanted)
        for layer in layers:
            layer.add(values[id(layer.linear.tensor)][0], positions)
    for layer in layers:
        layer.moments.check(layer.name)
