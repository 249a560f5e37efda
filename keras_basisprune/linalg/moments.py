"""Means and covariances of a stream of samples."""

import numpy as np

from keras_basisprune.linalg.add_outer import add_outer

_BLOCK = 4096  # samples that are added in their own precision
_FEW = 128  # values per sample that cost little in float64
# Float32 numbers outside of these are multiplied in float64.
_LOW, _HIGH = 1e-12, 1e12
_STATE = ("count", "_exact", "_shift", "_sum", "_squares")
_STATE += ("_other_shift", "_other_sum", "_products")


class Moments:
    """First and second moments of samples that are added batch by batch.

    All sums are float64, after subtracting the mean of the first batch. So they are
    accurate where values vary little around a large mean, and do not depend on how
    samples are divided into batches, up to rounding. More than 128 float32 values per
    sample are multiplied in float32, 4,096 samples at a time, which takes half the
    time, unless they are `exact`. Memory is `size (size + others)` numbers, for any
    number of samples; time is one matrix product per batch.

    Moments of several parts of the samples, from other processes too (they can be
    pickled), are merged to those of all.

    Args:
        size: Number of values per sample.
        others: Number of further values per sample, for which only the covariance with
            the first ones is computed.
        exact: Whether all products are float64.

    Example:

    >>> moments = Moments(2)
    >>> moments.add(np.array([[1.0, 0.0], [3.0, 0.0]]))
    >>> moments.mean
    array([2., 0.])
    """

    def __init__(self, size, others=0, exact=False):
        self.count, self._exact = 0, exact
        self._shift = np.zeros(size)
        self._sum = np.zeros(size)
        self._squares = np.zeros((size, size))
        self._other_shift, self._other_sum = np.zeros(others), np.zeros(others)
        self._products = np.zeros((size, others))

    def add(self, values, others=None):
        """Adds samples.

        Args:
            values: Array of shape `(samples, size)`.
            others: Array of shape `(samples, others)`.
        """
        narrow = len(self._sum) > _FEW and not self._exact
        values = _numbers(values) if narrow else _double(values)
        if others is not None:
            others = _numbers(others).astype(values.dtype, copy=False)
        if not self.count and len(values):
            self._shift = _mean(values)
            if others is not None:
                self._other_shift = _mean(others)
        self.count += len(values)
        for start in range(0, len(values), _BLOCK):
            part = _shifted(values[start : start + _BLOCK], self._shift)
            self._sum += part.sum(axis=0, dtype=np.float64)
            self._squares += part.T @ part
            if others is not None:
                more = _shifted(others[start : start + _BLOCK], self._other_shift)
                self._other_sum += more.sum(axis=0, dtype=np.float64)
                self._products += part.T @ more

    def merge(self, other):
        """Adds all samples of another `Moments`, which is not changed.

        Time and memory are those of one sum of `size (size + others)` numbers.
        """
        if not other.count:
            return
        if not self.count:
            self._shift, self._other_shift = other._shift, other._other_shift
        # Of the other's samples, with the shift of this one.
        off, more = other._shift - self._shift, other._other_shift - self._other_shift
        count, total = other.count, other._sum
        self.count += count
        self._sum = self._sum + total + count * off
        self._squares = self._squares + other._squares
        add_outer(self._squares, 1.0, total, off)
        add_outer(self._squares, 1.0, off, total + count * off)
        self._other_sum = self._other_sum + other._other_sum + count * more
        self._products = self._products + other._products
        add_outer(self._products, 1.0, total, more)
        add_outer(self._products, 1.0, off, other._other_sum + count * more)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all that it consists of, for a file."""
        return {name: np.asarray(getattr(self, name)) for name in _STATE}

    @staticmethod
    def of_arrays(arrays) -> "Moments":
        """Returns the `Moments` whose `arrays()` these are."""
        found = Moments(0)
        for name in _STATE:
            setattr(found, name, arrays[name])
        found.count, found._exact = int(found.count), bool(found._exact)
        return found

    def check(self, name):
        """Raises a `ValueError` unless all samples were finite."""
        sums = (self._sum, self._squares, self._other_sum, self._products)
        if not all(np.isfinite(total).all() for total in sums):
            raise ValueError(
                "Expected `model` to give finite values on `data`. Received: NaN or "
                f"infinity in `{name}`. Scale the images as for training."
            )

    @property
    def mean(self) -> np.ndarray:
        """Array of shape `(size,)`."""
        return self._shift + self._sum / self.count

    @property
    def other_mean(self) -> np.ndarray:
        """Array of shape `(others,)`."""
        return self._other_shift + self._other_sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Array of shape `(size, size)`."""
        mean = self._sum / self.count
        return add_outer(self._squares / self.count, -1.0, mean, mean)

    @property
    def cross_covariance(self) -> np.ndarray:
        """Array of shape `(size, others)`."""
        mean = self._sum / self.count
        other = self._other_sum / self.count
        return add_outer(self._products / self.count, -1.0, mean, other)


def _numbers(values):
    """Returns values in float32 if that holds them, else in float64."""
    values = np.asarray(values)
    narrow = values.dtype.itemsize <= 4 and values.dtype.kind not in "iu"
    return values.astype(np.float32 if narrow else np.float64, copy=False)


def _double(values):
    return np.asarray(values, np.float64)


def _mean(values):
    """Returns the mean, rounded so that it is the same number in their dtype."""
    return values.mean(axis=0, dtype=np.float64).astype(values.dtype)


def _shifted(values, shift):
    """Returns values minus a shift; in float64 if their squares leave the range."""
    part = values - shift.astype(values.dtype)
    if part.dtype == np.float64 or not part.size:
        return part
    inside = _LOW < max(part.max(), -part.min()) < _HIGH
    return part if inside else part.astype(np.float64)
