"""Samples with targets and weights, in memory."""

import functools
import hashlib

import keras
import numpy as np

from keras_basisprune.data.examples.batch import Batch
from keras_basisprune.data.rows import Rows


class ArrayExamples:
    """Samples with targets and weights, in memory.

    Args:
        model: The model that they are for.
        batch: A `Batch` of all samples.
        given: What the user has passed.
        others: Labels of any kind that are not in `batch`, for the checksum.

    Attributes:
        whole: The `Batch` of all samples.
        given: What the user has passed, for metrics of the user.
        in_memory: True.
    """

    in_memory = True

    def __init__(self, model, batch, given=None, others=()):
        self._model, self.whole, self.given = model, batch, given
        self._others = others

    def __len__(self):
        return len(self.whole)

    @property
    def labelled(self) -> bool:
        """Whether there are targets."""
        return self.whole.targets is not None

    @property
    def weighted(self) -> bool:
        """Whether there are weights."""
        return self.whole.weights is not None

    @property
    def first(self) -> Batch:
        """The first samples."""
        return self.whole[:32]

    @property
    def images(self):
        """All samples: an array for a model with one input, else `Rows`."""
        arrays = self.whole.inputs
        structure = getattr(self._model, "input", None)
        if len(arrays) == 1 and not isinstance(structure, dict | list | tuple):
            return arrays[0]
        return Rows(keras.tree.pack_sequence_as(structure, arrays))

    def batches(self, size):
        """Yields `Batch`es of a size; the last one may be smaller."""
        for start in range(0, len(self), size):
            yield self.whole[start : start + size]

    def drawn(self, count, seed) -> list[np.ndarray]:
        """Returns at most `count` samples, drawn at random, in their old order.

        Args:
            count: Integer.
            seed: Integer that determines which.

        Returns:
            A list of arrays, one per input.
        """
        if len(self) <= count:
            return self.whole.inputs
        order = np.random.default_rng(seed).permutation(len(self))
        return self.whole[np.sort(order[:count])].inputs

    def part(self, chosen) -> "ArrayExamples":
        """Returns the samples of some numbers."""
        return ArrayExamples(self._model, self.whole[chosen])

    def some(self, count, seed) -> Batch:
        """Returns at most `count` samples, drawn at random."""
        return self.whole[np.random.default_rng(seed).permutation(len(self))[:count]]

    @functools.cached_property
    def checksum(self) -> str:
        """Hexadecimal checksum of all arrays: values, shapes and dtypes."""
        found, batch = hashlib.sha256(), self.whole
        for array in (*batch.inputs, *(batch.targets or ()), *(batch.weights or ())):
            found.update(b"none" if array is None else array_digest(array))
        for leaf in keras.tree.flatten(self._others):
            found.update(array_digest(np.asarray(leaf)))
        return found.hexdigest()


def array_digest(array) -> bytes:
    """Returns a checksum of an array: values, shape and dtype."""
    found = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    if array.dtype.kind in "OSU":
        found.update(repr(array.tolist()).encode())
    else:
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.digest()
