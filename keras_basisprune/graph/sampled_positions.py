"""Which positions of a large map are looked at."""

import numpy as np


def sampled_positions(size, jitter) -> np.ndarray:
    """Chooses positions of a map that stand for all of them.

    The flattened map is cut into as many stretches as there are positions to choose,
    and one is drawn of each: other ones in each sample, so that over some hundred
    samples all of the map is seen.

    Args:
        size: Number of positions there are.
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
