"""Ridge regression whose strength is chosen by samples that were left out."""

import math

import numpy as np

from keras_basisprune.linalg._fold_error import FoldError, combined, solved
from keras_basisprune.linalg._sums import Sums, joined, without
from keras_basisprune.linalg.moments import Moments

# Strengths to choose from, and where the search for the best one begins.
_STRENGTHS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
_FIRST = 0.03
_ALONE = 0.01  # without samples to leave out
# From so many inputs on, only one fold is left out, since each needs `n^2` numbers.
_MANY = 256


class RidgeFolds:
    """Corrects a linear map by ridge regression on samples that come in folds.

    With `C` the covariance of the inputs of a map `W`, and `X` their covariance with
    the error of its outputs (target minus output), the correction is
    `D = (C + ridge mean(diag C) I)^-1 X`. The strength `ridge` is that for which
    corrections that are computed without a fold of the samples have the least squared
    error on this fold, over all folds. So a correction is only as large as it is good
    for other samples: with few of them, a map of many inputs hardly changes. The search
    goes from one strength to the next as long as the error falls.

    Memory is `folds n (n + outputs)` numbers; two folds' from 256 inputs `n` on,
    where only the first fold is left out; and twice that at the end, unless `close` is
    called first. Time is that of `Moments`, and for each fold
    and each strength that is tried (mostly three or four) that of a solution, `O(n^3)`,
    for no more than 64 outputs: random combinations of them if there are more.

    Args:
        size: Number of inputs `n` of the map.
        outputs: Number of its outputs.
        folds: Number of folds.
        exact: Whether all products are float64, as in `Moments`.

    Example:

    >>> folds = RidgeFolds(1, 1, folds=2)
    >>> folds.add(np.array([[-1.0], [1.0]]), np.array([[-2.0], [2.0]]), [0, 0])
    >>> folds.add(np.array([[-1.0], [1.0]]), np.array([[-2.0], [2.0]]), [1, 1])
    >>> folds.update()[0].round(2)
    array([[2.]])
    """

    def __init__(self, size, outputs, folds, exact=False):
        self._left_out = folds if size < _MANY else 1
        self._folds = [
            _Fold(size, outputs, exact) for _ in range(min(folds, self._left_out + 1))
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

    def merge(self, other):
        """Adds all samples of another `RidgeFolds` of the same map and folds."""
        self._all = None
        for one, more in zip(self._folds, other._folds, strict=True):
            one.merge(more)

    def check(self, name):
        """Raises a `ValueError` unless all samples were finite."""
        for fold in self._folds:
            fold.moments.check(name)

    def close(self):
        """Ends the adding of samples, which frees half of the memory."""
        parts = []
        while self._folds:
            one = self._folds.pop(0)
            if one.moments.count:
                parts.append(one.sums())
        self._parts, self._all = parts, joined(parts)

    def together(self) -> Sums:
        """Returns means and covariances of all samples."""
        if self._all is None:
            self._parts = [one.sums() for one in self._folds if one.moments.count]
            self._all = joined(self._parts)
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
        if not self._folds:
            self._parts = []  # nothing is added or asked any more
        return *solved(self.together(), ridge, centered), ridge

    def _chosen(self, centered) -> float:
        """Returns the strength with the least error on samples that are left out."""
        together, parts = self.together(), self._parts
        if len(parts) < 2:
            return _ALONE
        together, *parts = combined([together, *parts])
        splits = [
            # Of two parts, the other one is what remains.
            FoldError(
                parts[1 - i] if len(parts) == 2 else without(together, part),
                part,
                centered,
            )
            for i, part in enumerate(parts[: self._left_out])
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


class _Fold:
    """The moments of one fold, and the variances of its errors."""

    def __init__(self, size, outputs, exact=False):
        self.moments, self._exact = Moments(size, outputs, exact), exact
        self._squares, self._shift = np.zeros(outputs), None

    def add(self, values, errors):
        errors = np.asarray(errors, np.float64 if self._exact else None)
        if self._shift is None:
            self._shift = errors.mean(axis=0, dtype=np.float64).astype(errors.dtype)
        far = (errors - self._shift).astype(errors.dtype, copy=False)
        self._squares += np.einsum("ij,ij->j", far, far, dtype=np.float64)
        self.moments.add(values, errors)

    def merge(self, other):
        if not other.moments.count:
            return
        if self._shift is None:
            self._shift = other._shift
        # Squares of `errors - other._shift`, whose sum follows from their mean.
        off = np.asarray(other._shift, np.float64) - self._shift
        count = other.moments.count
        drift = other.moments.other_mean - other._shift
        self._squares = self._squares + other._squares + count * off * (2 * drift + off)
        self.moments.merge(other.moments)

    def sums(self) -> Sums:
        """Returns its `Sums`."""
        m = self.moments
        drift = m.other_mean - self._shift
        variance = np.maximum(self._squares / m.count - drift**2, 0.0)
        return Sums(
            m.count, m.mean, m.covariance, m.other_mean, m.cross_covariance, variance
        )
