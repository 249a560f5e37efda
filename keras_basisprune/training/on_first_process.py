"""Callbacks of which only the first of several processes writes files."""

import contextlib
import hashlib
import pathlib
from collections.abc import Sequence

import keras

from keras_basisprune.training.as_callbacks import as_callbacks
from keras_basisprune.utils.processes import (
    alone,
    check_same,
    from_first,
    is_first_process,
    process_count,
)

_LOCK = ".lock"
_WRITERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)


def on_first_process(
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None,
) -> list[keras.callbacks.Callback]:
    """Returns callbacks for one of several processes that train a model together.

    All processes pass the same callbacks to `fit`, with the same paths. Only the first
    process writes: `BackupAndRestore`, `ModelCheckpoint`, `CSVLogger` and `TensorBoard`
    are left to it. All processes read the backup, which must be on storage that all can
    see. Without a distribution of several processes, the callbacks stay as they are.

    `recover`, `sparsify` and `compress` do this by themselves.

    Args:
        callbacks: Keras callbacks, as `keras.Model.fit` takes them.

    Returns:
        A list of `keras.callbacks.Callback`.

    Raises:
        ValueError: If one of them is no callback. When training begins: if a process
            sees another backup than the first, or the backup is in use.

    Example:

    >>> keras.distribution.initialize(address, num_processes=2, process_id=process)
    >>> keras.distribution.set_distribution(keras.distribution.DataParallel())
    >>> backup = keras.callbacks.BackupAndRestore("shared/backup")
    >>> callbacks = [keras_basisprune.L1Thresholding(1e-2), backup]
    >>> callbacks = keras_basisprune.training.on_first_process(callbacks)
    """
    callbacks = as_callbacks(callbacks)
    if process_count() == 1:
        return callbacks
    found: list[keras.callbacks.Callback] = []
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            callback = _OneBackup(callback)
        elif isinstance(callback, _WRITERS):
            if not is_first_process():
                continue
            callback = _Alone(callback)
        found.append(callback)
    return found


class _Alone(keras.callbacks.Callback):
    """A callback that saves the model, in the first process."""

    def __init__(self, callback):
        super().__init__()
        self._callback = callback

    def set_params(self, params):
        super().set_params(params)
        self._callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self._callback.set_model(model)

    def on_train_begin(self, logs=None):
        self._callback.on_train_begin(logs)

    def on_train_batch_end(self, batch, logs=None):
        with alone():
            self._callback.on_train_batch_end(batch, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        with alone():
            self._callback.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        with alone():
            self._callback.on_train_end(logs)


class _OneBackup(_Alone):
    """A `BackupAndRestore` that the first process writes and all processes read."""

    def __init__(self, backup):
        super().__init__(backup)
        self._lock = contextlib.ExitStack()

    def on_train_begin(self, logs=None):
        folder = pathlib.Path(self._callback.backup_dir)
        from_first(lambda: self._lock.enter_context(_used(folder)) and None)
        files = sorted(folder.glob("*")) if folder.is_dir() else []
        check_same(
            backup=[
                (file.name, hashlib.sha256(file.read_bytes()).hexdigest())
                for file in files
                if file.is_file() and file.name != _LOCK
            ]
        )
        with alone():
            super().on_train_begin(logs)

    def on_train_batch_end(self, batch, logs=None):
        if is_first_process():
            super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if is_first_process():
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        if is_first_process():
            super().on_train_end(logs)
        self._lock.close()


@contextlib.contextmanager
def _used(folder):
    """Keeps other processes from writing the same backup."""
    import filelock

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise ValueError(
            "Expected the folder of `BackupAndRestore` to be used by one training at a "
            f"time. Received: {folder}, which another first process is using. Wait for "
            "it, end it, or choose another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()
