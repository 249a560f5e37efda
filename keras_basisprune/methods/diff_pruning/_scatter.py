"""Writes a few numbers into the variables of a model, in place."""

import weakref

import keras
import numpy as np
from keras import ops

from keras_basisprune.methods.diff_pruning._fingerprint import array_of

# Whole weights that are ready to be written, the latest last: bytes and tensors of each
# `Scatter`; and the most bytes of these, for all models together.
_READY: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_MOST = 2**30


class Scatter:
    """Values for variables, ready to be written as often as wanted.

    Tensors of TensorFlow and arrays of JAX never change. A variable takes a whole one
    without copying it, and who trains the variable makes another. So the new weights
    are put together once and handed over each time; what stood there is handed back.
    At most 1 GiB of them are kept for all models. Those that were written longest ago
    make room, and are put together again when they are wanted. On PyTorch, training
    changes numbers in place: only those of the delta are written, and what stood there
    is kept as a copy of each whole variable.

    TensorFlow's `scatter_nd_update` is not used: a variable on which it was called once
    is copied whenever it is read.

    Args:
        variables: List of `keras.Variable`s.
        positions: List of arrays of flat positions; `None` for all of a variable.
        values: List of arrays of as many values.
    """

    def __init__(self, variables, positions, values):
        rows = zip(variables, positions, values, strict=True)
        self._rows = [row for row in rows if row[2].size]
        sizes = (x.itemsize * int(np.prod(v.shape)) for v, _, x in self._rows)
        self._bytes = sum(sizes)
        self._in_place = keras.backend.backend() == "torch"
        if self._in_place:
            self._rows = [_on_torch(*row) for row in self._rows]

    def write(self) -> list:
        """Writes the values; returns those that stood there, for `restore`."""
        if self._in_place:
            before = [_flat(variable).clone() for variable, _, _ in self._rows]
            for variable, index, value in self._rows:
                _flat(variable).index_copy_(0, index, value)
            return before
        before = [_held(v) for v, _, _ in self._rows]
        self.restore(self._whole())
        return before

    def restore(self, values):
        """Writes what `write` has returned."""
        for (variable, _, _), value in zip(self._rows, values, strict=True):
            if self._in_place:
                _flat(variable).copy_(value)
            else:
                _hand_over(variable, value)

    def _whole(self) -> list:
        """The new values of all variables, whole."""
        _, found = _READY.pop(self, (0, None))
        if found is None or _is_deleted(found):
            found = [_changed(*row) for row in self._rows]
        _READY[self] = self._bytes, found
        kept = sum(size for size, _ in _READY.values())
        while kept > _MOST:
            kept -= _READY.pop(next(iter(_READY.keys())))[0]
        return found


def _changed(variable, positions, values):
    """A whole tensor: what a variable holds, with other values at some positions."""
    array = array_of(variable)
    array.reshape(-1)[... if positions is None else positions] = values.reshape(-1)
    return ops.convert_to_tensor(array, dtype=variable.dtype)


def _held(variable):
    """What a variable holds, not copied; later changes of the variable don't show."""
    if keras.backend.backend() == "tensorflow":
        return variable.value.value()
    return variable.value


def _hand_over(variable, tensor):
    if keras.backend.backend() == "tensorflow":
        variable.value.assign(tensor, read_value=False)
    else:
        variable.assign(tensor)


def _is_deleted(arrays) -> bool:
    """Whether JAX has given some away, as it does in `fit` and in `predict`."""
    return any(a.is_deleted() for a in arrays if hasattr(a, "is_deleted"))


def _flat(variable):
    """The numbers of a PyTorch variable, in a row, not copied."""
    return variable.value.detach().view((-1,))


def _on_torch(variable, positions, values):
    count = int(np.prod(variable.shape))
    places = np.arange(count) if positions is None else positions
    values = ops.convert_to_tensor(values.reshape(-1), dtype=variable.dtype)
    return variable, ops.convert_to_tensor(places, dtype="int64"), values
