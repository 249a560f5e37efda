"""What the rounding of a kernel depends on, summed up over samples."""

import math

import keras
import numpy as np

from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.sample_folds import FOLDS
from keras_basisprune.layers import QuantizedWeights
from keras_basisprune.linalg import RidgeFolds, compensated_rounding
from keras_basisprune.surgery.linear_call import LinearCall

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_LITTLE = 0.01  # damping: a few inputs, of many positions
_CHANNELS = 32  # of a depthwise convolution, at once


def can_be_compensated(layer) -> bool:
    """Returns whether a layer is one that `kernel_sums` takes."""
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    if not QuantizedWeights.accepts(layer) or not last:
        return False
    return isinstance(layer, _DEPTHWISE) or LinearCall.can_be_fitted(layer)


def kernel_sums(layer):
    """Returns the sums for a layer, which are empty.

    Their `add` takes what the layer reads at some positions, in the original network
    and in the one that rounds, and the folds of these samples. After it, `target` is
    the kernel to round, `numbers` rounds it, and `lacking` is what the mean outputs of
    a rounded kernel lack.

    Args:
        layer: A layer that `can_be_compensated`.
    """
    return (_Depthwise if isinstance(layer, _DEPTHWISE) else _Matrix)(layer)


class _Matrix:
    """A kernel that multiplies patches as a matrix."""

    def __init__(self, layer):
        self._shape, self._centered = layer.kernel.shape, layer.use_bias
        self._matrix = _array(rule_of(layer).matrix(layer))
        self._narrow = self._matrix.astype(np.float32)
        self._folds = RidgeFolds(*self._matrix.shape, FOLDS)

    def add(self, was, now, folds):
        self._folds.add(now, (was - now) @ self._narrow, folds)

    def target(self):
        self._folds.close()
        self._sums = self._folds.together()
        update, _, _ = self._folds.update(None, self._centered)
        return np.reshape(self._matrix + update, self._shape)

    def numbers(self, target, scales, most):
        matrix, products = self._as_matrix(target), self._sums.covariance
        if not self._centered:
            products = products + np.outer(self._sums.mean, self._sums.mean)
        found = compensated_rounding(matrix, products, scales.ravel(), most)
        return np.reshape(found, self._shape)

    def lacking(self, kernel):
        left = self._matrix - self._as_matrix(kernel)
        return self._sums.error + self._sums.mean @ left

    def _as_matrix(self, kernel):
        return np.reshape(kernel, self._matrix.shape)


class _Depthwise:
    """A kernel that multiplies the patches of each channel by a matrix of its own."""

    def __init__(self, layer):
        self._kernel = _array(layer.kernel)
        *size, channels, _ = self._kernel.shape
        taps = math.prod(size)
        self._centered, self._count = layer.use_bias, 0
        self._totals = np.zeros((2, channels, taps))
        self._squares = np.zeros((channels, taps, taps))

    def add(self, was, now, folds):
        channels, taps = self._totals.shape[1:]
        self._count += len(now)
        for start in range(0, channels, _CHANNELS):
            part = slice(start, start + _CHANNELS)
            for total, values in zip(self._totals, (was, now), strict=True):
                mine = values.reshape(-1, taps, channels)[..., part].T
                mine = np.ascontiguousarray(mine, np.float64)
                total[part] += mine.sum(-1)
            self._squares[part] += mine @ mine.transpose(0, 2, 1)

    def target(self):
        return self._kernel

    def numbers(self, target, scales, most):
        products, mean = self._squares / self._count, self._totals[1] / self._count
        if self._centered:
            products -= mean[:, :, None] * mean[:, None]
        found = [
            compensated_rounding(*given, most, _LITTLE)
            for given in zip(self._by_channel(target), products, scales, strict=True)
        ]
        return np.moveaxis(found, 0, 1).reshape(target.shape)

    def lacking(self, kernel):
        was, now = (
            np.einsum("ct,ctm->cm", total / self._count, self._by_channel(values))
            for total, values in zip(self._totals, (self._kernel, kernel), strict=True)
        )
        return (was - now).ravel()

    def _by_channel(self, kernel):
        """The kernel as an array of shape `(channels, taps, multiplier)`."""
        return np.moveaxis(kernel.reshape(-1, *kernel.shape[-2:]), 1, 0)


def _array(values) -> np.ndarray:
    return keras.ops.convert_to_numpy(values).astype(np.float64)
