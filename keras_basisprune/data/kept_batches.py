"""Batches of samples that can be read again and again."""

import collections.abc

from keras_basisprune.data.sample_batches import are_arrays, sample_batches
from keras_basisprune.data.spilled_list import SpilledList


class KeptBatches(collections.abc.Sequence):
    """Batches of a model's inputs; more than fits into memory is on disk.

    Arrays are not copied: batches are parts of them. All other data are read once, and
    kept as `SpilledList`s, so that a stream that differs from epoch to epoch is the
    same in every pass, and is never joined to one array. `one + other` are the batches
    of both.

    Args:
        batches: An iterable of lists of arrays, one per input, all of the same number.
        given: Whether the arrays are in memory anyway.
    """

    def __init__(self, batches, given=False):
        self._inputs: list[SpilledList] = []
        self.sizes: list[int] = []
        held: list = []
        for arrays in batches:
            self.sizes.append(len(arrays[0]))
            if given:
                held.append(arrays)
                continue
            self._inputs = self._inputs or [SpilledList() for _ in arrays]
            for values, array in zip(self._inputs, arrays, strict=True):
                values.append(array)
        if given:
            parts = zip(*held, strict=True)
            self._inputs = [SpilledList(part) for part in parts]

    @staticmethod
    def of(model, data, batch_size=None, argument="data", answers=None):
        """Reads data.

        Args:
            model: The model that the data are for.
            data: Samples, in any form that `sample_batches` reads.
            batch_size: As in `sample_batches`, as `argument` and `answers`.

        Returns:
            `KeptBatches`.

        Raises:
            ValueError: As `sample_batches` does.
        """
        read = sample_batches(
            model, None, data, argument, batch_size, kept=True, answers=answers
        )
        return KeptBatches(read, are_arrays(model, data))

    @staticmethod
    def made_of(batches) -> "KeptBatches":
        """Returns `KeptBatches` for these, or for a list of batches in memory."""
        if isinstance(batches, KeptBatches):
            return batches
        return KeptBatches(batches, given=True)

    def taken(self, marks) -> "KeptBatches":
        """Returns some of the samples, without batches that have none of them.

        Args:
            marks: A list of boolean arrays, one per batch.
        """
        pairs = zip(self, marks, strict=True)
        return KeptBatches(
            [x[mine] for x in batch] for batch, mine in pairs if any(mine)
        )

    @property
    def inputs(self) -> list[SpilledList]:
        """The samples of each input, one array per batch."""
        return self._inputs

    def __add__(self, other):
        both = KeptBatches(())
        both.sizes = [*self.sizes, *other.sizes]
        pairs = zip(self._inputs, other._inputs, strict=True)
        both._inputs = [one + two for one, two in pairs]
        return both

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return [values[index] for values in self._inputs]
