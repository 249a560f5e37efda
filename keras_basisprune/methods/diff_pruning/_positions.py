"""Chooses the weights that may differ, over the whole network."""

import numpy as np


def strongest_positions(scores, count) -> np.ndarray:
    """Returns the flat positions of the largest scores, ascending.

    Args:
        scores: Array of shape `(n,)`.
        count: Integer, how many to choose. Of equal ones the first are taken.
    """
    count = min(count, len(scores))
    if not count:
        return np.zeros(0, np.int64)
    limit = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > limit)
    equal = np.flatnonzero(scores == limit)[: count - len(above)]
    return np.sort(np.concatenate([above, equal]))


def split_positions(positions, ends) -> list[np.ndarray]:
    """Splits positions in a row of arrays into those within each array.

    Args:
        positions: Ascending integers.
        ends: Where each array ends in the row.
    """
    parts = np.split(positions, np.searchsorted(positions, ends[:-1]))
    starts = [0, *ends[:-1]]
    return [part - start for part, start in zip(parts, starts, strict=True)]
