"""The shares of a batch that the devices of a distribution take."""

import math

import keras
import numpy as np


def shares() -> int:
    """Returns into how many parts the distribution that is set divides a batch.

    The number of devices for `keras.distribution.DataParallel`, the size of the mesh's
    first axis for `ModelParallel`, and 1 without a distribution.
    """
    found = keras.distribution.distribution()
    return 1 if found is None else found.num_model_replicas


def shared_rows(count) -> np.ndarray:
    """Returns which rows of a batch this process hands to its devices.

    Devices take equal shares. A batch that they can't divide is repeated, as a whole,
    until they can: means over the batch, and with them loss, gradients and statistics
    of BatchNormalization, are the same.

    Args:
        count: Integer, the rows of the batch.

    Returns:
        An integer array.
    """
    found = keras.distribution.distribution()
    rows = np.tile(np.arange(count), math.lcm(count, shares()) // max(count, 1))
    parts = min(found.num_processes, shares())
    return np.split(rows, parts)[found.data_shard_id]


def check_shares(argument, size, fixed=None):
    """Raises `ValueError` unless devices can share a full batch.

    Args:
        argument: Name of the argument for the batch size, for the message.
        size: Integer, the batch size.
        fixed: The size of batches that the model is bound to, or `None`.
    """
    parts = shares()
    if fixed is not None and fixed % parts:
        raise ValueError(
            f"Expected `model` to take batches that {parts} devices can share. "
            f"Received: a model that is bound to batches of {fixed}. Build it for any "
            f"batch size, or for a multiple of {parts}; or use fewer devices."
        )
    if fixed is None and size % parts:
        more = -(-size // parts) * parts
        raise ValueError(
            f"Expected `{argument}` to be a number of samples that {parts} devices can "
            f"share. Received: {argument}={size}. Pass a multiple of {parts}, such as "
            f"{more}."
        )
