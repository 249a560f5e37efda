"""What data of any form consists of."""

import itertools
from collections.abc import Iterator

import keras

from keras_basisprune.data.ends import length


def elements(data):
    """Returns an iterable of the elements of data, of one epoch.

    Args:
        data: A `keras.utils.PyDataset`, which is read as `keras.Model.fit` reads it; or
            an iterable such as a `tf.data.Dataset`. An iterator is read as far as it
            says that it goes, since one with a length may restart at its end.

    Raises:
        ValueError: If a `keras.utils.PyDataset` doesn't say how long it is.
    """
    if isinstance(data, keras.utils.PyDataset):
        return _epoch(data)
    if isinstance(data, Iterator):
        return itertools.islice(data, length(data))
    return data


def _epoch(data):
    count = length(data)
    data.on_epoch_begin()
    try:
        for index in itertools.count() if count is None else range(count):
            yield data[index]
    finally:
        data.on_epoch_end()
