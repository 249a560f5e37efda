"""Draws some of the samples that networks are fitted on."""

import numpy as np


def drawn_samples(samples, count, seed):
    """Draws samples at random; they keep their order.

    Args:
        samples: An array, or a list of one per input.
        count: Integer; `None` for all.
        seed: Integer that determines which.

    Returns:
        The same structure; the object itself if it holds no more than `count`.
    """
    several = isinstance(samples, list)
    total = len(samples[0] if several else samples)
    if count is None or total <= count:
        return samples
    rows = np.sort(np.random.default_rng(seed).permutation(total)[:count])
    return [array[rows] for array in samples] if several else samples[rows]
