"""Means and covariances of a stream of samples."""

import numpy as np


class Moments:
    """First and second moments of samples that are added batch by batch.

    All sums are float64, after subtracting the mean of the first batch. So they are
    accurate where values vary little around a large mean, and do not depend on how
    samples are divided into batches, up to rounding. Memory is `size (size + others)`
    numbers, for any number of samples; time is one matrix product per batch.

    Args:
        size: Number of values per sample.
        others: Number of further values per sample, for which only the covariance with
            the first ones is computed.

    Example:

    >>> moments = Moments(2)
    >>> moments.add(np.array([[1.0, 0.0], [3.0, 0.0]]))
    >>> moments.mean
    array([2., 0.])
    """

    def __init__(self, size, others=0):
        self.count = 0
        self._shift = np.zeros(size)
        self._sum = np.zeros(size)
        self._squares = np.zeros((size, size))
        self._other_sum = np.zeros(others)
        self._products = np.zeros((size, others))

    def add(self, values, others=None):
        """Adds samples.

        Args:
            values: Array of shape `(samples, size)`.
            others: Array of shape `(samples, others)`.
        """
        values = np.asarray(values, np.float64)
        if not self.count and len(values):
            self._shift = values.mean(axis=0)
        values = values - self._shift
        self.count += len(values)
        self._sum += values.sum(axis=0)
        self._squares += values.T @ values
        if others is not None:
            others = np.asarray(others, np.float64)
            self._other_sum += others.sum(axis=0)
            self._products += values.T @ others

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
        return self._other_sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Array of shape `(size, size)`."""
        mean = self._sum / self.count
        return self._squares / self.count - np.outer(mean, mean)

    @property
    def cross_covariance(self) -> np.ndarray:
        """Array of shape `(size, others)`."""
        mean = self._sum / self.count
        return self._products / self.count - np.outer(mean, self.other_mean)
