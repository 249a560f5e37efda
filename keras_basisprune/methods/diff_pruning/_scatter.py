"""Writes a few numbers into the variables of a model, in place."""

import keras
import numpy as np
from keras import ops

from keras_basisprune.methods.diff_pruning._fingerprint import array_of


class Scatter:
    """Values for variables, ready to be written as often as wanted.

    On TensorFlow and PyTorch only these numbers are written. Arrays of JAX can't
    change, so each variable that is written to is copied there.

    Args:
        variables: List of `keras.Variable`s.
        positions: List of arrays of flat positions; `None` for all of a variable.
        values: List of arrays of as many values.
    """

    def __init__(self, variables, positions, values):
        self._writes = [
            _write(variable, place, value)
            for variable, place, value in zip(variables, positions, values, strict=True)
            if value.size
        ]

    def __call__(self):
        for write in self._writes:
            write()


def _write(variable, positions, values):
    """Returns a function that writes some values into a variable."""
    backend, shape = keras.backend.backend(), tuple(variable.shape)
    tensor = ops.convert_to_tensor(values, dtype=variable.dtype)
    if backend == "tensorflow":
        if positions is None or not shape:
            return lambda: variable.assign(ops.reshape(tensor, shape))
        index = np.stack(np.unravel_index(positions, shape), -1)
        index = ops.convert_to_tensor(index, dtype="int32")
        return lambda: variable.value.scatter_nd_update(index, tensor)
    if backend == "torch" and positions is not None:
        index = ops.convert_to_tensor(positions, dtype="int64")
        flat = (-1,)
        return lambda: variable.value.detach().view(flat).index_copy_(0, index, tensor)
    values = ops.convert_to_numpy(tensor)

    def assign():
        changed = array_of(variable)
        changed.reshape(-1)[... if positions is None else positions] = values.reshape(
            -1
        )
        variable.assign(changed)  # an array that nothing else holds

    return assign
