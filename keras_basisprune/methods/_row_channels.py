"""Which channel each row of a layer's matrix reads."""

import numpy as np


def row_channels(linear, shape, axis, positions) -> np.ndarray:
    """Finds out by trying: channels are let through in turns, by bits of their numbers.

    So it holds for every layer that can be fitted, whatever the order of its rows, and
    whatever a channel goes through before. Rows that read nothing at any position (the
    border of a kernel that is larger than the map) are said to read channel 0.

    Args:
        linear: A `LinearCall`.
        shape: Shape of what it reads, the batch axis included.
        axis: Integer, the channel axis.
        positions: Integer array: positions of the output, such as all.

    Returns:
        An integer array of shape `(n,)`.
    """
    count = shape[axis]
    noise = np.random.default_rng(0).normal(size=(1, *shape[1:])).astype("float32")
    along = [-1 if number == axis else 1 for number in range(len(shape))]
    numbers = np.arange(count).reshape(along)
    found = 0
    for bit in range(max(count - 1, 0).bit_length()):
        seen = linear.patches(noise * ((numbers >> bit) & 1), positions)
        found = found + (np.abs(seen).max(axis=0) > 0).astype(int) * 2**bit
    return np.broadcast_to(found, linear.matrix.shape[:1])
