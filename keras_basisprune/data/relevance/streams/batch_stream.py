"""Datasets, `keras.utils.PyDataset`s and other iterables as a stream."""

import hashlib
import itertools
from collections.abc import Iterator

import numpy as np

from keras_basisprune.data.ends import EndlessData, check_ends, length
from keras_basisprune.data.sample_batches import sample_batches


class BatchStream:
    """Reads batches, or single samples, in the order in which they come.

    Args:
        argument: Name of the argument, for messages.
        model: Has `inputs` like the encoder's.
        specs: A list of `keras.InputSpec`, one per input.
        data: A `tf.data.Dataset`, `keras.utils.PyDataset`, or any iterable.

    Raises:
        ValueError: If `data` is known to be endless.
    """

    count = None

    def __init__(self, argument, model, specs, data):
        check_ends(argument, data)
        self._argument, self._model, self._specs = argument, model, specs
        self._data = data if isinstance(data, Iterator) else _images_of_dicts(data)

    def read(self, skipped):
        """Yields pairs of a list of arrays and no names.

        Raises:
            ValueError: If the data start with other samples than a moment ago, or do
                not end.
        """
        again = not isinstance(self._data, Iterator)
        before = _hash(self._first()) if again else None
        try:
            for arrays in self._batches():
                if before is not None and _hash(arrays) != before:
                    raise self._unstable()
                before = None
                yield arrays, ()
        except EndlessData as error:
            raise ValueError(
                f"Expected `{self._argument}` to end, or to say how many samples "
                f"there are. Received: {type(self._data).__name__}, which has not "
                "ended after 100,000 samples. If it does end, let a dataset say so: "
                "`.apply(tf.data.experimental.assert_cardinality(n))`; an iterable, by "
                "`__len__`."
            ) from error

    def peek(self):
        """Returns the arrays of the first batch; they will be read again."""
        if not isinstance(self._data, Iterator):
            return self._first()
        count = length(self._data)  # an iterator with a length may restart at its end
        element = next(self._data, None)
        first = [] if element is None else [element]
        rest = itertools.islice(self._data, count and max(0, count - 1))
        self._data = itertools.chain(first, rest)
        model, specs, argument = self._model, self._specs, self._argument
        return next(sample_batches(model, specs, first, argument))

    def fingerprint(self) -> str | None:
        """Returns a checksum of the contents, which are read for it."""
        if isinstance(self._data, Iterator):  # it can be read only once
            return None
        found = hashlib.sha256()
        for arrays in self._batches():
            found.update(_hash(arrays).encode())
        return found.hexdigest()

    def _batches(self):
        return sample_batches(self._model, self._specs, self._data, self._argument)

    def _first(self):
        batches = self._batches()
        try:
            return next(batches)
        finally:
            batches.close()

    def _unstable(self):
        return ValueError(
            f"Expected `{self._argument}` to give its samples in the same order each "
            "time, since they are identified by their positions. Received: "
            f"{type(self._data).__name__}, which starts with other samples when it is "
            "read again. Leave out its shuffling."
        )


def _images_of_dicts(data):
    """Returns a dataset of images where one has dicts, as `tfds.load` returns it."""
    spec = getattr(data, "element_spec", None)
    if isinstance(spec, dict) and "image" in spec:
        return data.map(lambda example: example["image"])
    return data


def _hash(arrays) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        text = array.dtype.kind in "OSU"
        found.update(repr(array.tolist()).encode() if text else _bytes(array))
    return found.hexdigest()


def _bytes(array):
    return np.ascontiguousarray(array).tobytes()
