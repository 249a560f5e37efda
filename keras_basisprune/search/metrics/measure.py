"""A score that is computed from sums over samples."""

import abc

import numpy as np


class Measure(abc.ABC):
    """A score that is computed from sums over samples, such as a mean.

    Attributes:
        name: Its name, as in logs: lower case, without blanks.
        text: What it is, in words.
        sign: 1 if more is better, -1 if less is.
        share: Whether it is a share, so that 0.01 is a point.
        exact: Whether each sample is right or wrong, so that bounds can be exact.
    """

    name: str
    text: str
    sign: int = 1
    share: bool = True
    exact: bool = False

    @abc.abstractmethod
    def rows(self, targets, outputs, weights, block) -> np.ndarray:
        """Returns what is summed up, for the samples of a batch.

        Args:
            targets: List of arrays, one per output.
            outputs: List of arrays, one per output.
            weights: List of arrays, one per output, of a weight per sample (or
                position), or `None`.
            block: Integer, how many samples make a row, at most.

        Returns:
            Array of shape `(rows, sums)`, float64.
        """

    @abc.abstractmethod
    def value(self, sums) -> np.ndarray:
        """Returns the score for sums of rows, of shape `(..., sums)`."""


def in_blocks(rows, block) -> np.ndarray:
    """Adds up as many rows as make a block."""
    if block <= 1:
        return rows
    return np.add.reduceat(rows, np.arange(0, len(rows), block))


def per_sample(weights, count) -> np.ndarray:
    """Returns a weight for each sample; those of positions are averaged."""
    if weights is None:
        return np.ones(count)
    return np.asarray(weights, np.float64).reshape(count, -1).mean(-1)
