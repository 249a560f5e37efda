"""Runs a function of one batch on any number of samples."""

import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up


def run_batches(run, arrays, size) -> list[np.ndarray]:
    """Calls a function with one batch after the other, all of one size.

    Args:
        run: Takes a list of arrays of `size` samples, one per input, and returns a list
            of arrays of `size` samples, one per output.
        arrays: List of arrays, one per input, of one common length.
        size: Integer. The last batch is filled up (`fill_up`); outputs for repeated
            samples are left out.

    Returns:
        A list of arrays, one per output, with the outputs of all samples.
    """
    count, parts = len(arrays[0]), []
    arrays = [fill_up(array, size) for array in arrays]
    for start in range(0, count, size):
        parts.append(run([array[start : start + size] for array in arrays]))
    return [np.concatenate(output)[:count] for output in zip(*parts, strict=True)]
