"""Which positions of a large map are looked at."""

import numpy as np


def sampled_positions(size, most, seed) -> np.ndarray:
    """Draws positions of a map that stand for all of them.

    Args:
        size: Number of positions there are.
        most: Number of positions to draw at most.
        seed: Integer; the same seed draws the same positions.

    Returns:
        An integer array of `min(size, most)` ascending positions.
    """
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, most, replace=False))
