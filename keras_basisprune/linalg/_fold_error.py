"""The error of corrections on samples that were left out."""

import dataclasses

import numpy as np

from keras_basisprune.linalg.add_outer import add_outer
from keras_basisprune.linalg.ridge_update import ridge_update

# From so many outputs per input on, a decomposition is faster than several solutions.
_WIDE = 0.5


class FoldError:
    """Corrections computed without one fold, and their squared errors on it.

    With many outputs, the covariance of the inputs is decomposed once, and the error
    of any strength then costs only `O(n^2)`.

    Args:
        rest: The `Sums` of all other samples.
        left: Those of the fold.
        centered: Whether a constant can be added to the outputs.
    """

    def __init__(self, rest, left, centered):
        self._rest, self._left, self._centered = rest, left, centered
        self._decomposed = None
        size, outputs = rest.cross.shape
        if outputs >= _WIDE * size:
            self._decomposed = self._decompose()

    def error(self, ridge) -> float:
        """Returns the error for a strength."""
        if self._decomposed is None:
            return _error(*solved(self._rest, ridge, self._centered), self._left)
        values, within, own, across, strength = self._decomposed
        scale = 1.0 / (values + ridge * strength)
        squares = scale @ (within * own) @ scale
        total = self._left.variance.sum() + squares - 2 * (scale @ across)
        return self._left.count * float(total)

    def _decompose(self):
        """Returns what the error depends on, along the axes of the inputs.

        With `D = Q (L + r)^-1 A` the correction, `A = Q^T X`, the error is that of the
        outputs' variances, plus `tr(D^T B D) - 2 tr(D^T Y)` with `B` and `Y` the second
        moments on the fold, around what the correction makes of the means.
        """
        rest, left = self._rest, self._left
        second, cross = _seconds(rest, self._centered)
        strength = np.trace(second) / len(second)
        if not (strength > 0 and np.any(cross)):
            return None
        values, axes = np.linalg.eigh(second)
        own = axes.T @ cross
        # What is left behind also counts as a mean: (m' - D^T d)^2 for each output.
        off = left.mean - rest.mean if self._centered else left.mean
        miss = left.error - rest.error if self._centered else left.error
        turned = axes.T @ left.covariance @ axes
        moved = axes.T @ off
        add_outer(turned, 1.0, moved, moved)
        wanted = add_outer(axes.T @ left.cross, 1.0, moved, miss)
        across = np.einsum("ij,ij->i", own, wanted)
        left = dataclasses.replace(left, variance=left.variance + miss**2)
        self._left = left
        return values, turned, own @ own.T, across, strength


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


def _error(update, shift, sums) -> float:
    """Returns the squared error that a correction leaves on other samples."""
    off = sums.error - sums.mean @ update - shift
    products = sums.covariance @ update - 2 * sums.cross
    return sums.count * float(
        sums.variance.sum() + (update * products).sum() + (off**2).sum()
    )
