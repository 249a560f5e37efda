"""Random numbers per sample, independent of order and batches."""

import zlib

import numpy as np


def position_jitter(arrays, count) -> np.ndarray:
    """Draws random numbers for each sample, from its own content.

    Args:
        arrays: List of arrays, one per input, each with one entry per sample.
        count: Number of random numbers per sample.

    Returns:
        A float32 array of shape `(samples, count)` with values in [0, 1). Equal samples
        get equal numbers, at any position.
    """
    drawn = np.empty((len(arrays[0]), count), np.float32)
    for index in range(len(drawn)):
        seed = 0
        for array in arrays:
            seed = zlib.crc32(np.ascontiguousarray(array[index]).tobytes(), seed)
        drawn[index] = np.random.default_rng(seed).random(count, np.float32)
    return drawn
