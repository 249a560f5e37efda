"""Training that gives the same result on one device and on several."""

import contextlib

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.shared_batches import SharedBatches, shared_batch
from keras_basisprune.data.batching.shares import check_shares, distribution, shares
from keras_basisprune.data.elements import elements
from keras_basisprune.graph.running._alike import check_alike
from keras_basisprune.graph.running._sums_of_one import sums_of_one


def fit(
    model,
    x,
    y=None,
    sample_weight=None,
    *,
    batch_size=None,
    shuffle=True,
    validation_data=None,
    callbacks=(),
    **options,
) -> keras.callbacks.History:
    """Calls `model.fit`; on several devices, with batches that they can share.

    Keras itself takes no batches there which the devices can't divide, and data of
    several processes only as a `tf.data.Dataset`. Here each process has all data and
    hands its devices their rows of each batch. See `shared_rows` for the last batch of
    an epoch, which counts as often in the logs of training as it is repeated; the logs
    of validation are exact.

    On one device, the network leaves memory with the last reference to it. After
    `model.fit` it does not on TensorFlow (`sums_of_one`).

    Args:
        model: A compiled `keras.Model`.
        x: As `keras.Model.fit` takes it; the same in every process.
        y: The same.
        sample_weight: The same.
        batch_size: Integer, for arrays.
        shuffle: Whether arrays are shuffled, in the order that Keras gives them.
        validation_data: A pair of arrays, or `None`. Metrics must be means over samples
            then.
        callbacks: List of Keras callbacks.
        **options: Further arguments of `fit`.

    Raises:
        ValueError: If processes have other data, weights or versions than the first.
    """
    callbacks, parts = list(callbacks), shares(model)
    if distribution() is None and _fits(x, y, batch_size or 32, parts):
        with sums_of_one(model):
            return model.fit(
                x,
                y,
                sample_weight=sample_weight,
                batch_size=batch_size,
                shuffle=shuffle,
                validation_data=validation_data,
                callbacks=callbacks,
                **options,
            )
    size = options.pop("validation_batch_size", batch_size)
    check_shares("batch_size", parts, fixed_batch(model), parts)
    check_alike(model, x if y is None else (x, y, sample_weight))
    if validation_data is not None:
        callbacks.insert(0, _Validation(validation_data, size, callbacks, parts))
    if isinstance(x, keras.utils.PyDataset):
        batches = SharedBatches(x, parts)
    elif y is not None:
        whole = (x, y) if sample_weight is None else (x, y, sample_weight)
        batches = SharedBatches(_Arrays(whole, batch_size or 32, shuffle), parts)
    else:
        batches = (shared_batch(batch, parts) for batch in elements(x))
    with _shared_here():
        return model.fit(batches, shuffle=False, callbacks=callbacks, **options)


def _fits(x, y, size, parts) -> bool:
    """Returns whether Keras can divide all batches by itself."""
    if parts == 1:
        return True
    count = 0 if y is None else len(keras.tree.flatten(x)[0])
    return bool(count) and not size % parts and not count % parts


@contextlib.contextmanager
def _shared_here():
    """Tells Keras that each process has its rows already."""
    found = distribution()
    if found is None:
        yield
        return
    before = found.auto_shard_dataset
    found.auto_shard_dataset = False
    try:
        yield
    finally:
        found.auto_shard_dataset = before


class _Arrays(keras.utils.PyDataset):
    """Batches of arrays, in the order in which `fit` takes them on one device."""

    def __init__(self, arrays, size, shuffle):
        super().__init__()
        self._arrays, self._size, self._shuffle = arrays, size, shuffle
        self._count = len(keras.tree.flatten(arrays)[0])
        self._order = np.arange(self._count)

    @property
    def num_batches(self):
        return -(-self._count // self._size)

    def __getitem__(self, index):
        if self._shuffle and not index:
            self._order = np.random.permutation(self._count)
        rows = self._order[index * self._size : (index + 1) * self._size]
        return keras.tree.map_structure(lambda a: np.asarray(a)[rows], self._arrays)


class _Validation(keras.callbacks.Callback):
    """Writes the logs of validation as `fit` does on one device.

    What devices can't share is evaluated apart, repeated, and counts once.
    """

    def __init__(self, data, size, callbacks, parts):
        super().__init__()
        count = len(keras.tree.flatten(data)[0])
        whole = count - count % parts
        self._parts = [
            (part, keras.tree.map_structure(lambda a, p=part: np.asarray(a)[p], data))
            for part in (np.arange(whole), np.arange(whole, count))
            if len(part)
        ]
        self._size, self._callbacks, self._shares = size or 32, callbacks, parts

    def on_epoch_end(self, epoch, logs=None):
        total = sum(len(part) for part, _ in self._parts)
        seen = keras.callbacks.CallbackList(self._callbacks)
        for part, arrays in self._parts:
            batches = SharedBatches(_Arrays(arrays, self._size, False), self._shares)
            found = self.model.evaluate(
                batches, verbose=0, return_dict=True, callbacks=seen
            )
            for name, value in found.items():
                share = value * len(part) / total
                logs[f"val_{name}"] = logs.get(f"val_{name}", 0.0) + share
