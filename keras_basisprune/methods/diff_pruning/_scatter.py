"""Writes a few numbers into the variables of a model, in place."""

import keras
import numpy as np
from keras import ops


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
    values = ops.convert_to_tensor(values, dtype=variable.dtype)
    if positions is None:
        return lambda: variable.assign(values)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        axes = np.unravel_index(positions, tuple(variable.shape))
        index = ops.convert_to_tensor(np.stack(axes, -1), dtype="int32")
        return lambda: variable.value.scatter_nd_update(index, values)
    many = np.prod(variable.shape) >= 2**31
    index = ops.convert_to_tensor(positions, dtype="int64" if many else "int32")
    if backend == "torch":
        flat = (-1,)
        return lambda: variable.value.detach().view(flat).index_copy_(0, index, values)

    def assign():
        flat = ops.reshape(variable.value, (-1,))
        changed = ops.scatter_update(flat, index[:, None], values)
        variable.assign(ops.reshape(changed, variable.shape))

    return assign
