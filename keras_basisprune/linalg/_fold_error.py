"""The error of corrections on samples that were left out."""

import dataclasses

import numpy as np

from keras_basisprune.linalg.add_outer import add_outer
from keras_basisprune.linalg.ridge_update import ridge_update

# So many random combinations stand for more outputs than that.
_OUTPUTS = 64
# From so many inputs on, strengths of at least _SAFE are compared in float32.
_WIDE, _SAFE = 256, 0.01


class FoldError:
    """Corrections computed without one fold, and their squared errors on it.

    Args:
        rest: The `Sums` of all other samples.
        left: Those of the fold.
        centered: Whether a constant can be added to the outputs.
    """

    def __init__(self, rest, left, centered):
        self._rest, self._left, self._centered = rest, left, centered
        self._seconds = _seconds(rest, centered)
        self._narrow = None  # the same in float32

    def error(self, ridge) -> float:
        """Returns the error for a strength."""
        second, cross = self._moments(ridge)
        update = ridge_update(second, cross, ridge).astype(np.float64)
        rest, left = self._rest, self._left
        off = left.error - left.mean @ update
        if self._centered:
            off -= rest.error - rest.mean @ update
        products = left.covariance @ update - 2 * left.cross
        total = left.variance.sum() + (update * products).sum() + (off**2).sum()
        return left.count * float(total)

    def _moments(self, ridge):
        if len(self._seconds[0]) < _WIDE or ridge < _SAFE:
            return self._seconds
        if self._narrow is None:
            # Of variance 1 on average, which float32 can hold.
            scale = np.trace(self._seconds[0]) / len(self._seconds[0]) or 1.0
            self._narrow = [(x / scale).astype(np.float32) for x in self._seconds]
        return self._narrow


def combined(parts) -> list:
    """Combines many outputs to 64, which have the same squared errors on average.

    Combinations are sums of all outputs with random signs. A ridge that is good for
    them is good for the outputs, and is found in a fraction of the time.

    Args:
        parts: A list of `Sums` of the same map.

    Returns:
        A list of `Sums`; the same ones if there are no more outputs. Variances have the
        same sum.
    """
    outputs = len(parts[0].error)
    if outputs <= _OUTPUTS:
        return parts
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (outputs, _OUTPUTS))
    signs /= _OUTPUTS**0.5
    return [
        dataclasses.replace(
            part,
            error=part.error @ signs,
            cross=part.cross @ signs,
            variance=np.full(_OUTPUTS, part.variance.sum() / _OUTPUTS),
        )
        for part in parts
    ]


def _seconds(sums, centered) -> tuple[np.ndarray, np.ndarray]:
    """Returns second moments of inputs, and with errors, that are regressed on."""
    if centered:
        return sums.covariance, sums.cross
    # No constant can be added: least squares without one.
    second, cross = sums.covariance.copy(), sums.cross.copy()
    add_outer(second, 1.0, sums.mean, sums.mean)
    return second, add_outer(cross, 1.0, sums.mean, sums.error)


def solved(sums, ridge, centered) -> tuple[np.ndarray, np.ndarray]:
    """Returns the correction and the constant that goes with it."""
    update = ridge_update(*_seconds(sums, centered), ridge)
    shift = sums.error - sums.mean @ update
    return update, shift if centered else np.zeros_like(shift)
