"""How far a network's outputs are from those of the original."""

import keras
import numpy as np

from keras_basisprune.linalg.channel_moments import ChannelMoments

_LEAST = 1e-12  # of a probability


class Divergence:
    """Compares outputs with those of the original network.

    For probabilities (non-negative, and 1 in sum along the last axis) it is the
    Kullback-Leibler divergence in nats; for sigmoid outputs the sum of those of each
    output; for all others the squared error, as a share of the original's variance. It
    is the mean over samples and positions, and the sum over the outputs of a model.

    Args:
        traced: The `Trace` of the network that makes the outputs.
        wanted: The original's outputs: one list for each output of the model, of one
            array per batch.
    """

    def __init__(self, traced, wanted):
        makers, outputs = traced.producers(), keras.tree.flatten(traced.outputs)
        self._parts = [
            _part_of(makers.get(id(tensor)), one)
            for tensor, one in zip(outputs, wanted, strict=True)
        ]

    def __call__(self, found) -> float:
        """Returns the divergence of outputs in the same form as `wanted`."""
        return float(
            sum(part(one) for part, one in zip(self._parts, found, strict=True))
        )


def _part_of(call, wanted):
    if all(_are_probabilities(_double(array)) for array in wanted):
        return _Mean(wanted, _of_classes)
    activation = None if call is None else getattr(call.op, "activation", None)
    if activation is keras.activations.sigmoid:
        return _Mean(wanted, _of_sigmoids)
    return _Squares(wanted)


def _are_probabilities(array) -> bool:
    if array.ndim < 2 or array.shape[-1] < 2 or not (array >= 0).all():
        return False
    return bool(np.allclose(array.sum(axis=-1), 1.0, atol=1e-2))


def _of_classes(wanted, found):
    return (wanted * np.log(wanted / found)).sum(axis=-1)


def _of_sigmoids(wanted, found):
    rest, others = np.maximum(1 - wanted, _LEAST), np.maximum(1 - found, _LEAST)
    each = wanted * np.log(wanted / found) + rest * np.log(rest / others)
    return each.sum(axis=-1)


class _Mean:
    """The mean of a divergence at each position."""

    def __init__(self, wanted, each):
        self._wanted, self._each = wanted, each

    def __call__(self, found):
        total, count = 0.0, 0
        for wanted, array in zip(self._wanted, found, strict=True):
            array = np.maximum(_double(array), _LEAST)
            values = self._each(np.maximum(_double(wanted), _LEAST), array)
            total, count = total + values.sum(), count + values.size
        return total / count


class _Squares:
    """The squared error, relative to the variance around the mean of each output."""

    def __init__(self, wanted):
        self._wanted = wanted
        rows = ChannelMoments()
        for array in wanted:
            rows.add(array.reshape(-1, *array.shape[1:][-1:] or (1,)))
        self._scale = rows.count * (
            rows.variance.sum() or (rows.variance + rows.mean**2).sum() or 1.0
        )

    def __call__(self, found):
        errors = (
            ((_double(wanted) - array) ** 2).sum()
            for wanted, array in zip(self._wanted, found, strict=True)
        )
        return sum(errors) / self._scale


def _double(array):
    return np.asarray(array, np.float64)
