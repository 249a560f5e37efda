"""Samples of sources that are too large to fit on."""

import numpy as np

MOST = 20_000  # samples that clusters are computed of, or classifiers trained on


def sampled_rows(count, seed, most=MOST) -> np.ndarray:
    """Returns ascending positions of samples, all of them if there are not too many.

    Args:
        count: Integer, the number of samples.
        seed: Integer or a tuple of them.
        most: Integer, the most to draw.
    """
    if count <= most:
        return np.arange(count)
    chosen = np.random.default_rng(seed).choice(count, most, replace=False)
    return np.sort(chosen)
