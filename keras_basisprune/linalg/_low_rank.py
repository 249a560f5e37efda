"""A linear map in two steps: to basis features, and back to the outputs."""

import dataclasses

import numpy as np

_MOST = 4.0  # what hardly varies any more is not made to by what is left of it


@dataclasses.dataclass(frozen=True)
class LowRank:
    """The map `x -> (x @ filters - mean) @ kernel + bias`.

    Attributes:
        filters: Array of shape `(n, r)`: the basis filters.
        kernel: Array of shape `(r, cout)`: the way back. The norms of its rows are the
            singular values, in descending order.
        mean: Array of shape `(r,)`, what is subtracted from the features; `None` for
            nothing.
        bias: Array of shape `(cout,)`, or `None`: the bias stays as it was.
        variance: Array of shape `(cout,)`: how much outputs shall vary when bases have
            left, features being uncorrelated and of unit variance; `None`: as little as
            they do.
    """

    filters: np.ndarray
    kernel: np.ndarray
    mean: np.ndarray | None = None
    bias: np.ndarray | None = None
    variance: np.ndarray | None = None

    @property
    def singular_values(self) -> np.ndarray:
        """Array of shape `(r,)`, float64, descending."""
        return np.linalg.norm(self.kernel.astype(np.float64), axis=1)

    def cut(self, rank) -> "LowRank":
        """The leading `rank` bases."""
        return self.take(slice(rank))

    def take(self, indices) -> "LowRank":
        """The bases at some positions."""
        mean = None if self.mean is None else self.mean[indices]
        kernel = self.kernel[indices]
        if self.variance is not None:
            kernel = kernel * _stretch(self.variance, np.sum(kernel**2, axis=0))
        filters = self.filters[:, indices]
        return LowRank(filters, kernel, mean, self.bias, self.variance)

    def merged(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel `(n, cout)` and bias `(cout,)` of the one map that does the same."""
        bias = np.zeros(self.kernel.shape[1]) if self.bias is None else self.bias
        if self.mean is not None:
            bias = bias - self.mean @ self.kernel
        return self.filters @ self.kernel, bias


def _stretch(wanted, left) -> np.ndarray:
    """Factors from 1 to 4 by which outputs have to be multiplied to vary as wanted."""
    ratio = np.divide(wanted, left, out=np.ones_like(wanted), where=left > 0)
    return np.clip(np.sqrt(ratio), 1.0, _MOST)
