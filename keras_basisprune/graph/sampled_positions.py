"""Chooses positions of large maps."""

import numpy as np


def sampled_positions(size, jitter) -> np.ndarray:
    """Chooses positions that represent a whole map.

    The flattened map is divided into as many sections as there are positions to choose,
    and one is drawn from each, different ones in each sample, so that a few hundred
    samples cover the whole map.

    Args:
        size: Number of positions in the map.
        jitter: Array of shape `(samples, count)`, from `position_jitter`.

    Returns:
        An integer array: `arange(size)` if the map has no more than `count` positions,
        else one of shape `(samples, count)`, each row ascending.
    """
    count = jitter.shape[1]
    if size <= count:
        return np.arange(size)
    places = (np.arange(count) + jitter.astype(np.float64)) * (size / count)
    return np.minimum(places.astype(np.intp), size - 1)
