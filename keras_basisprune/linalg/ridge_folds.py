"""Ridge regression whose strength is chosen by samples that were left out."""

import dataclasses
import math

import numpy as np

from keras_basisprune.linalg.moments import Moments
from keras_basisprune.linalg.ridge_update import ridge_update

# Strengths to choose from, and where the search for the best one begins.
_STRENGTHS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
_FIRST = 0.03
_ALONE = 0.01  # without samples to leave out
# From so many inputs on, only one fold is left out, since each needs `n^2` numbers.
_MANY = 1536
# From so many outputs per input on, a decomposition is faster than several solutions.
_WIDE = 0.5


class RidgeFolds:
    """Corrects a linear map by ridge regression on samples that come in folds.

    With `C` the covariance of the inputs of a map `W`, and `X` their covariance with
    the error of its outputs (target minus output), the correction is
    `D = (C + ridge mean(diag C) I)^-1 X`. The strength `ridge` is that for which
    corrections that are computed without a fold of the samples have the least squared
    error on this fold, over all folds. So a correction is only as large as it is good
    for other samples: with few of them, a map of many inputs hardly changes. The search
    goes from one strength to the next as long as the error falls.

    Memory is `folds n (n + outputs)` numbers; two folds' from 1,536 inputs `n` on,
    where only the first fold is left out. Time is that of `Moments`, and of some ten to
    thirty solutions `O(n^3 + n^2 outputs)`.

    Args:
        size: Number of inputs `n` of the map.
        outputs: Number of its outputs.
        folds: Number of folds.

    Example:

    >>> folds = RidgeFolds(1, 1, folds=2)
    >>> folds.add(np.array([[-1.0], [1.0]]), np.array([[-2.0], [2.0]]), [0, 0])
    >>> folds.add(np.array([[-1.0], [1.0]]), np.array([[-2.0], [2.0]]), [1, 1])
    >>> folds.update()[0].round(2)
    array([[2.]])
    """

    def __init__(self, size, outputs, folds):
        self._left_out = folds if size < _MANY else 1
        self._folds = [
            _Fold(size, outputs) for _ in range(min(folds, self._left_out + 1))
        ]
        self._all, self._parts = None, []

    def add(self, values, errors, folds):
        """Adds samples.

        Args:
            values: Array of shape `(samples, size)`: inputs of the map.
            errors: Array of shape `(samples, outputs)`: target minus output.
            folds: Integer array of shape `(samples,)`: the fold of each sample.
        """
        folds, self._all = np.minimum(folds, len(self._folds) - 1), None
        for fold in np.unique(folds):
            chosen = folds == fold
            self._folds[fold].add(values[chosen], errors[chosen])

    def check(self, name):
        """Raises a `ValueError` unless all samples were finite."""
        for fold in self._folds:
            fold.moments.check(name)

    def together(self) -> "Sums":
        """Returns means and covariances of all samples."""
        if self._all is None:
            self._parts = [one.sums() for one in self._folds if one.moments.count]
            self._all = _joined(self._parts)
        return self._all

    def update(self, ridge=None, centered=True) -> tuple[np.ndarray, np.ndarray, float]:
        """Solves the regression.

        Args:
            ridge: Float > 0, or `None` to choose it.
            centered: Whether a constant can be added to the outputs.

        Returns:
            The correction `D`, a float64 array of shape `(size, outputs)`; the constant
            to add to the outputs, of shape `(outputs,)`; and the strength.
        """
        if ridge is None:
            ridge = self._chosen(centered)
        return *_solved(self.together(), ridge, centered), ridge

    def _chosen(self, centered) -> float:
        """Returns the strength with the least error on samples that are left out."""
        together, parts = self.together(), self._parts
        if len(parts) < 2:
            return _ALONE
        splits = [
            _Split(_without(together, part), part, centered)
            for part in parts[: self._left_out]
        ]
        known: dict[int, float] = {}

        def error(place):
            if not 0 <= place < len(_STRENGTHS):
                return math.inf
            if place not in known:
                ridge = _STRENGTHS[place]
                known[place] = sum(split.error(ridge) for split in splits)
            return known[place]

        place = _STRENGTHS.index(_FIRST)
        step = -1 if error(place - 1) < error(place) else 1
        while error(place + step) < error(place):
            place += step
        return _STRENGTHS[place]


@dataclasses.dataclass(frozen=True)
class Sums:
    """Means and covariances of inputs and errors.

    Attributes:
        count: Number of samples.
        mean: Array of shape `(n,)`: of the inputs.
        covariance: Array of shape `(n, n)`: of the inputs.
        error: Array of shape `(outputs,)`: the mean error.
        cross: Array of shape `(n, outputs)`: covariance of inputs and errors.
        variance: Array of shape `(outputs,)`: of the errors.
    """

    count: int
    mean: np.ndarray
    covariance: np.ndarray
    error: np.ndarray
    cross: np.ndarray
    variance: np.ndarray

    def target_variance(self, matrix) -> np.ndarray:
        """Returns the variance of the targets, outputs of a map plus the errors."""
        products = self.covariance @ matrix + 2 * self.cross
        found = np.einsum("ij,ij->j", matrix, products) + self.variance
        return np.maximum(found, 0.0)


class _Fold:
    """The moments of one fold, and the variances of its errors."""

    def __init__(self, size, outputs):
        self.moments = Moments(size, outputs)
        self._squares, self._shift = np.zeros(outputs), None

    def add(self, values, errors):
        errors = np.asarray(errors)
        if self._shift is None:
            self._shift = errors.mean(axis=0, dtype=np.float64).astype(errors.dtype)
        far = (errors - self._shift).astype(errors.dtype, copy=False)
        self._squares += np.einsum("ij,ij->j", far, far, dtype=np.float64)
        self.moments.add(values, errors)

    def sums(self) -> Sums:
        """Returns its `Sums`."""
        m = self.moments
        drift = m.other_mean - self._shift
        variance = np.maximum(self._squares / m.count - drift**2, 0.0)
        return Sums(
            m.count, m.mean, m.covariance, m.other_mean, m.cross_covariance, variance
        )


def _joined(parts) -> Sums:
    """Returns the `Sums` of several folds, without loss of digits to large means."""
    if len(parts) == 1:
        return parts[0]
    count = sum(part.count for part in parts)
    shares = [part.count / count for part in parts]

    def averaged(name):
        pairs = zip(shares, parts, strict=True)
        return sum(share * getattr(part, name) for share, part in pairs)

    mean, error = averaged("mean"), averaged("error")
    covariance, cross = averaged("covariance"), averaged("cross")
    variance = averaged("variance")
    for share, part in zip(shares, parts, strict=True):
        off, miss = part.mean - mean, part.error - error
        covariance += share * np.outer(off, off)
        cross += share * np.outer(off, miss)
        variance += share * miss**2
    return Sums(count, mean, covariance, error, cross, variance)


def _without(together, part) -> Sums:
    """Returns the `Sums` of all samples but those of one fold."""
    share = part.count / together.count
    kept = 1 - share
    mean = (together.mean - share * part.mean) / kept
    error = (together.error - share * part.error) / kept
    covariance = together.covariance - share * part.covariance
    cross = together.cross - share * part.cross
    variance = together.variance - share * part.variance
    for sums, weight in ((together, 1.0), (part, -share)):
        off, miss = sums.mean - mean, sums.error - error
        covariance += weight * np.outer(off, off)
        cross += weight * np.outer(off, miss)
        variance += weight * miss**2
    count = together.count - part.count
    return Sums(
        count, mean, covariance / kept, error, cross / kept, np.maximum(variance, 0.0)
    )


class _Split:
    """Corrections computed without one fold, and their squared errors on it.

    With many outputs, the covariance of the inputs is decomposed once, and the error
    of any strength then costs only `O(n^2)`.
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
            return _error(*_solved(self._rest, ridge, self._centered), self._left)
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
        turned += np.outer(moved, moved)
        wanted = axes.T @ left.cross + np.outer(moved, miss)
        across = np.einsum("ij,ij->i", own, wanted)
        left = dataclasses.replace(left, variance=left.variance + miss**2)
        self._left = left
        return values, turned, own @ own.T, across, strength


def _seconds(sums, centered):
    """Returns second moments of inputs, and with errors, that are regressed on."""
    if centered:
        return sums.covariance, sums.cross
    # No constant can be added: least squares without one.
    second = sums.covariance + np.outer(sums.mean, sums.mean)
    return second, sums.cross + np.outer(sums.mean, sums.error)


def _solved(sums, ridge, centered) -> tuple[np.ndarray, np.ndarray]:
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
