"""Batches of which every process hands its devices their shares."""

import keras

from keras_basisprune.data.batching.shares import shared_rows


class SharedBatches(keras.utils.PyDataset):
    """The batches of a `keras.utils.PyDataset`, as devices share them.

    Args:
        batches: The `keras.utils.PyDataset`, the same in every process.
        parts: Integer, what `shares` returns.
    """

    def __init__(self, batches, parts):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self._batches, self._parts = batches, parts

    @property
    def num_batches(self):
        return self._batches.num_batches

    def __getitem__(self, index):
        return shared_batch(self._batches[index], self._parts)

    def on_epoch_begin(self):
        self._batches.on_epoch_begin()

    def on_epoch_end(self):
        self._batches.on_epoch_end()


def shared_batch(batch, parts):
    """Returns the rows of a batch that this process hands to its devices.

    Args:
        batch: What `keras.Model.fit` takes as a batch: arrays in any structure.
        parts: Integer, what `shares` returns.
    """
    arrays = [a for a in keras.tree.flatten(batch) if a is not None]
    rows = shared_rows(len(arrays[0]), parts)

    def chosen(array):
        if array is None:
            return None
        return keras.ops.convert_to_numpy(array)[rows]

    return keras.tree.map_structure(chosen, batch)
