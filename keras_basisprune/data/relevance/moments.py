"""Means and standard deviations that can be merged."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Moments:
    """Number, mean and squared deviations of rows (Chan, Golub, LeVeque 1979).

    The scalers of scikit-learn add rows in the same way, but can't be merged.

    Attributes:
        count: Integer, rows so far.
        mean: float64 array of shape `(features,)`; `0` without rows.
        squares: The sum of squared deviations from the mean, of the same shape.
    """

    count: int = 0
    mean: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    @classmethod
    def of(cls, rows):
        """Returns the moments of an array of shape `(n, features)`, block by block."""
        found = cls()
        for _, block in blocks(rows):
            mean = block.mean(axis=0)
            found += cls(len(block), mean, ((block - mean) ** 2).sum(axis=0))
        return found

    def __add__(self, other):
        count = self.count + other.count
        if not count:
            return self
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.count / count)
        squares = shift**2 * (self.count * other.count / count)
        return Moments(count, mean, self.squares + other.squares + squares)

    @property
    def scale(self) -> np.ndarray:
        """Standard deviations, 1 where all rows have the same value.

        They are rounded to float32, so that they don't depend on how rows were divided:
        k-means may end in other centres after the smallest difference.
        """
        scale = np.sqrt(self.squares / max(1, self.count))
        constant = scale <= 1e-6 * np.maximum(1e-6, np.abs(self.mean))
        return np.where(constant, 1.0, scale).astype(np.float32).astype(np.float64)


def blocks(rows):
    """Yields pairs of a position and float64 rows of an array, 32 MiB at a time."""
    step = max(1, 2**22 // rows.shape[1])
    for start in range(0, len(rows), step):
        yield start, np.asarray(rows[start : start + step], np.float64)
