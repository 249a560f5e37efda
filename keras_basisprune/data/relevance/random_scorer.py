"""Scores at random, the control."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class RandomScorer:
    """Random numbers in [0, 1) that depend on a sample's position only.

    Attributes:
        seed: Integer.
    """

    seed: int

    def __call__(self, block, start):
        """Returns scores of `len(block)` samples, `start` the first of them."""
        numbers = np.random.PCG64((self.seed, 3)).advance(start)
        return np.random.Generator(numbers).random(len(block))
