"""Mean and variance per channel of a stream of arrays."""

import numpy as np


class ChannelMoments:
    """Means and variances along one axis, over all other axes.

    Sums are float64, after subtracting the means of the first batch, and so accurate
    where values vary little around a large mean.

    Args:
        axis: Integer, the axis of the channels.

    Example:

    >>> moments = ChannelMoments(axis=-1)
    >>> moments.add(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> moments.mean, moments.variance
    (array([2., 5.]), array([1., 0.]))
    """

    def __init__(self, axis=-1):
        self._axis, self._shift = axis, None
        self.count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, values):
        """Adds an array of any number of axes."""
        axis = self._axis % values.ndim
        others = tuple(a for a in range(values.ndim) if a != axis)
        values = values.astype(np.float64)
        if self._shift is None:
            self._shift = values.mean(axis=others, keepdims=True)
        values -= self._shift
        self.count += values.size // values.shape[axis]
        self._sum += values.sum(axis=others)
        self._squares += (values**2).sum(axis=others)

    @property
    def mean(self) -> np.ndarray:
        """Float64 array, one mean per channel."""
        return self._shift.ravel() + self._sum / self.count

    @property
    def variance(self) -> np.ndarray:
        """Float64 array, one (biased) variance per channel, at least 0."""
        variance = self._squares / self.count - (self._sum / self.count) ** 2
        return np.maximum(variance, 0.0)
