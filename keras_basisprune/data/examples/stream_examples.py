"""Samples with targets and weights, read batch by batch."""

import hashlib

import numpy as np

from keras_basisprune.data.ends import check_ends
from keras_basisprune.data.examples.array_examples import (
    ArrayExamples,
    array_digest,
)
from keras_basisprune.data.examples.batch import Batch, joined
from keras_basisprune.data.examples.per_output import per_output
from keras_basisprune.data.sample_batches import sample_batches

_SPARE = 1000  # samples that are remembered while all are counted


class StreamExamples:
    """Samples with targets and weights, read batch by batch, as often as needed.

    They are read once to check and count them, and in each epoch and for each network
    that is judged. A batch is in memory at a time, and 1,000 samples to fit layers on,
    which are drawn at random while they are counted.

    Args:
        argument: Name of the argument, for messages.
        model: The model that they are for.
        data: A `tf.data.Dataset`, `keras.utils.PyDataset`, PyTorch `DataLoader` or any
            iterable that can be read more than once, of batches or single samples.
        spare: Integer, how many samples are drawn at most.
        seed: Integer that determines which.
        labels: Whether labels and weights are read.

    Attributes:
        given: The data as they were passed.
        in_memory: False.
        labelled: Whether there are targets.
        weighted: Whether there are weights.
        first: A `Batch`, the first that was read.
        steady: Whether the same samples come first when the data are read again.
        checksum: Hexadecimal checksum of the contents, whatever their order; only of
            number and shapes, if other samples come first (they are shuffled, and may
            be changed at random).

    Raises:
        ValueError: If the data are empty, endless, or do not fit the model.
    """

    in_memory = False

    def __init__(self, argument, model, data, spare=_SPARE, seed=0, labels=True):
        check_ends(argument, data)
        self._labels = labels
        self._argument, self._model, self.given = argument, model, data
        self._count, found, drawn = 0, 0, _Drawn(spare, seed)
        self.first = next(self._read())
        self.labelled = self.first.targets is not None
        self.weighted = self.first.weights is not None
        start = _digest(self.first)
        for batch in self._read():
            if not self._count:
                self.steady = _digest(batch) == start
            self._count += len(batch)
            found = (found + _digest(batch)) % 2**256
            drawn.add(batch.inputs)
        self._drawn = drawn.arrays()
        known = f"{found:064x}" if self.steady else str(_shapes(self.first))
        self.checksum = f"{self._count}:{known}"

    def __len__(self):
        return self._count

    def batches(self, size):
        """Yields `Batch`es of a size; the last one may be smaller."""
        rest = None
        for batch in self._read():
            if rest is not None and _shapes(rest) == _shapes(batch):
                batch = joined([rest, batch])
            elif rest is not None:
                yield rest
            whole = len(batch) - len(batch) % size
            for start in range(0, whole, size):
                yield batch[start : start + size]
            rest = batch[whole:] if whole < len(batch) else None
        if rest is not None:
            yield rest

    def drawn(self, count, seed) -> list[np.ndarray]:
        """Returns at most `count` samples, drawn at random: a list of one per input."""
        if len(self._drawn[0]) <= count:
            return self._drawn
        order = np.random.default_rng(seed).permutation(len(self._drawn[0]))
        return [array[np.sort(order[:count])] for array in self._drawn]

    def remembered(self, count, seed) -> ArrayExamples:
        """Returns at most `count` samples that were drawn, without labels."""
        return ArrayExamples(self._model, Batch(self.drawn(count, seed)))

    def some(self, count, seed) -> Batch:
        """Returns at most `count` samples, the first ones."""
        return next(self.batches(min(count, len(self))))

    def _read(self):
        """Yields a `Batch` for each element of the data."""
        answers: list = []
        argument, model = self._argument, self._model
        for arrays in sample_batches(
            model, None, self.given, argument, answers=answers, all_used=True
        ):
            answer = answers.pop()
            if not self._labels:
                yield Batch(arrays)
                continue
            targets, weights = (
                per_output(argument, model, part, what, what == "weights")
                for part, what in zip(answer, ("targets", "weights"), strict=True)
            )
            count = len(arrays[0])
            yield Batch(arrays, _batched(targets, count), _batched(weights, count))


class _Drawn:
    """Draws samples at random from batches of an unknown number (reservoir)."""

    def __init__(self, most, seed):
        self._most, self._rng = most, np.random.default_rng(seed)
        self._seen, self._kept, self._shape = 0, [], None

    def add(self, arrays):
        shape = [array.shape[1:] for array in arrays]
        self._shape = self._shape or shape
        if shape != self._shape:
            return  # images of another size could not be stacked
        for place in range(len(arrays[0])):
            self._seen += 1
            if len(self._kept) < self._most:
                self._kept.append([array[place].copy() for array in arrays])
                continue
            to = int(self._rng.integers(self._seen))
            if to < self._most:
                self._kept[to] = [array[place].copy() for array in arrays]

    def arrays(self) -> list[np.ndarray]:
        return [np.stack(column) for column in zip(*self._kept, strict=True)]


def _batched(arrays, count):
    """Adds the batch axis to what belongs to a single sample."""
    if arrays is None or count != 1:
        return arrays
    return [a[None] if a is not None and a.shape[:1] != (1,) else a for a in arrays]


def _shapes(batch):
    parts = (*batch.inputs, *(batch.targets or ()), *(batch.weights or ()))
    return [None if array is None else array.shape[1:] for array in parts]


def _digest(batch) -> int:
    """Returns a sum of the samples' checksums, which does not depend on their order."""
    parts = (*batch.inputs, *(batch.targets or ()), *(batch.weights or ()))
    arrays = [array for array in parts if array is not None]
    total = 0
    for row in zip(*arrays, strict=True):
        found = hashlib.sha256(b"".join(array_digest(np.asarray(a)) for a in row))
        total += int.from_bytes(found.digest(), "big")
    return total % 2**256
