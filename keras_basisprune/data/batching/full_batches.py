"""Regroups batches of any size into batches of one size."""

import numpy as np


def full_batches(batches, size):
    """Cuts and joins batches to one size.

    The last batch, also before samples of another shape, is filled up with earlier
    samples. Two batches are in memory at a time.

    Args:
        batches: Iterable of lists of arrays, one per input, of one common length.
        size: Integer, samples per batch.

    Yields:
        Lists of arrays of length `size`.
    """
    before = rest = None
    for arrays in batches:
        if rest is not None and _shapes(rest) != _shapes(arrays):
            yield from _filled(rest, before, size)
            before = rest = None
        if rest is not None:
            arrays = _joined(rest, arrays)
        whole = len(arrays[0]) - len(arrays[0]) % size
        for start in range(0, whole, size):
            before = [array[start : start + size] for array in arrays]
            yield before
        rest = [array[whole:] for array in arrays]
    if rest is not None:
        yield from _filled(rest, before, size)


def _filled(rest, before, size):
    """Yields the last samples, filled up with earlier ones."""
    if not len(rest[0]):
        return
    pool = rest if before is None else _joined(rest, before)
    rows = np.arange(size) % len(pool[0])
    yield [array[rows] for array in pool]


def _joined(one, other):
    return [np.concatenate(pair) for pair in zip(one, other, strict=True)]


def _shapes(arrays):
    return [array.shape[1:] for array in arrays]
