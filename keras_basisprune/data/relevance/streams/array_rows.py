"""Arrays as a stream."""

import hashlib

import keras
import numpy as np

from keras_basisprune.data.sample_batches import sample_batches

_AT_ONCE = 256


class ArrayRows:
    """Reads arrays in slices; memory-mapped ones are never in memory as a whole.

    Args:
        argument: Name of the argument, for messages.
        specs: A list of `keras.InputSpec`, one per array.
        arrays: A list of arrays of one common length.
        start: Integer, the first sample to read.
        stop: Integer, the end of the samples to read; `None` for the end of the arrays.
    """

    def __init__(self, argument, specs, arrays, start=0, stop=None):
        self._argument, self._specs, self._arrays = argument, specs, arrays
        stop = len(arrays[0]) if stop is None else min(stop, len(arrays[0]))
        self._start, self._stop = start, max(start, stop)
        self.count = self._stop - self._start

    def read(self, skipped):
        """Yields pairs of a list of arrays and no names."""
        for arrays in sample_batches(None, self._specs, self, self._argument):
            yield arrays, ()

    def part(self, start, stop):
        """Returns a stream of some of the samples."""
        ends = self._start + start, min(self._start + stop, self._stop)
        return ArrayRows(self._argument, self._specs, self._arrays, *ends)

    def fingerprint(self) -> str:
        """Returns a checksum of the contents, which are read for it."""
        found = hashlib.sha256()
        for arrays in self:
            for array in arrays:
                array = np.ascontiguousarray(keras.ops.convert_to_numpy(array))
                found.update(f"{array.dtype} {array.shape}".encode())
                found.update(array.data if array.size else b"")
        return found.hexdigest()

    def __len__(self):
        return -(-self.count // _AT_ONCE)

    def __iter__(self):
        for start in range(self._start, self._stop, _AT_ONCE):
            stop = min(start + _AT_ONCE, self._stop)
            slices = [array[start:stop] for array in self._arrays]
            grey = len(self._specs[0].shape) == 4 and len(slices[0].shape) == 3
            yield [slices[0][..., None]] if grey else slices
