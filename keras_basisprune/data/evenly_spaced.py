"""A few samples of many, evenly spaced."""

import keras
import numpy as np

_COUNT = 320  # more add nothing to the ranges of activations, and little to rounding


def evenly_spaced(samples, count=_COUNT):
    """Returns samples that are evenly spaced, in the same structure.

    Args:
        samples: An array, or a list or dict of arrays of one length.
        count: Integer, how many at most.

    Returns:
        NumPy arrays in the structure of `samples`; all of them if they are no more
        than `count`.
    """
    length = len(keras.tree.flatten(samples)[0])
    count = min(count, length)
    rows = np.arange(count) * length // max(count, 1)
    return keras.tree.map_structure(lambda array: np.asarray(array)[rows], samples)
