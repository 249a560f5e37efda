"""The weights by which a layer reads the channels of one tensor."""

import dataclasses

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Read:
    """A matrix that channels of a tensor are multiplied by, at each position.

    Attributes:
        tensor: The `KerasTensor`.
        rows: Array of shape `(n, outputs)`.
        channel: Integer array of shape `(n,)`: the channel that each row belongs to.
            Defaults to one row for each.
        part: Integer array of shape `(n,)`: only rows of the same part add up (those of
            a group of a grouped convolution). Defaults to one part.
        last: Whether only channels on the last axis are read.
    """

    tensor: keras.KerasTensor
    rows: np.ndarray
    channel: np.ndarray | None = None
    part: np.ndarray | None = None
    last: bool = False


def front(weight, axis) -> np.ndarray:
    """A weight as a matrix, with one of its axes as the first."""
    weight = np.moveaxis(keras.ops.convert_to_numpy(weight), axis, 0)
    return weight.reshape(len(weight), -1)
