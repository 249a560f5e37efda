"""A linear map in two steps: to basis features, and back to the outputs."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class LowRank:
    """The map `x -> (x @ filters - mean) @ kernel + bias`.

    Attributes:
        filters: Array of shape `(n, r)`: the basis filters.
        kernel: Array of shape `(r, cout)`, which maps features back to outputs. The
            norms of its rows are the singular values, in descending order.
        mean: Array of shape `(r,)` that is subtracted from the features, or `None`.
        bias: Array of shape `(cout,)`, or `None` to leave the bias unchanged.
    """

    filters: np.ndarray
    kernel: np.ndarray
    mean: np.ndarray | None = None
    bias: np.ndarray | None = None

    @property
    def singular_values(self) -> np.ndarray:
        """Array of shape `(r,)`, float64, descending."""
        return np.linalg.norm(self.kernel.astype(np.float64), axis=1)

    def cut(self, rank) -> "LowRank":
        """Returns the leading `rank` bases."""
        return self.take(slice(rank))

    def take(self, indices) -> "LowRank":
        """Returns the bases at some positions."""
        mean = None if self.mean is None else self.mean[indices]
        return LowRank(self.filters[:, indices], self.kernel[indices], mean, self.bias)

    def merged(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns kernel `(n, cout)` and bias `(cout,)` of one equal map."""
        bias = np.zeros(self.kernel.shape[1]) if self.bias is None else self.bias
        if self.mean is not None:
            bias = bias - self.mean @ self.kernel
        return self.filters @ self.kernel, bias
