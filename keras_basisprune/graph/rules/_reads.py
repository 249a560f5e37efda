"""The weights by which a layer reads the channels of one tensor."""

import dataclasses

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Read:
    """The matrix by which a layer multiplies a tensor's channels, at each position.

    Attributes:
        tensor: The `KerasTensor`.
        rows: Array of shape `(n, outputs)`.
        channel: Integer array of shape `(n,)`: the channel that each row belongs to.
            Defaults to one row for each.
        part: Integer array of shape `(n,)`: only rows of the same part are summed
            (groups of a grouped convolution). Defaults to one part.
        last: Whether only channels on the last axis are read.
    """

    tensor: keras.KerasTensor
    rows: np.ndarray
    channel: np.ndarray | None = None
    part: np.ndarray | None = None
    last: bool = False


def axis_first(weight, axis) -> np.ndarray:
    """Returns a weight as a matrix, with one of its axes as the first."""
    weight = np.moveaxis(keras.ops.convert_to_numpy(weight), axis, 0)
    return weight.reshape(len(weight), -1)
