"""The shares of a batch that the devices of a distribution take."""

import math

import keras
import numpy as np


def distribution():
    """Returns the distribution that is set, or `None`.

    Raises:
        ValueError: If one is set on a backend on which Keras has none that works.
    """
    found = keras.distribution.distribution()
    if found is not None and keras.backend.backend() != "jax":
        raise ValueError(
            "Expected `keras.distribution` to be used on the JAX backend, the only one "
            f"on which it works. Received: a {type(found).__name__} on "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=jax, or call "
            "`keras.distribution.set_distribution(None)`."
        )
    return found


def shares(model=None) -> int:
    """Returns into how many parts a batch is divided.

    The number of devices for `keras.distribution.DataParallel`, the size of the mesh's
    first axis for `ModelParallel`, and 1 without a distribution.

    Args:
        model: A model that trains; on TensorFlow, it may have been made in the scope of
            a `tf.distribute` strategy, whose replicas count then.

    Raises:
        ValueError: If that is a strategy of several machines.
    """
    found = distribution()
    if found is not None:
        return found.num_model_replicas
    strategy = getattr(model, "distribute_strategy", None)
    if getattr(strategy, "cluster_resolver", None) is not None:
        raise ValueError(
            "Expected a `tf.distribute` strategy of one machine, since `fit` of Keras "
            f"3 fails under others. Received: {type(strategy).__name__}. For several "
            "machines, train on the JAX backend (docs/clusters.md)."
        )
    return getattr(strategy, "num_replicas_in_sync", 1)


def shared_rows(count, parts) -> np.ndarray:
    """Returns which rows of a batch this process hands to its devices.

    Devices take equal shares. A batch that they can't divide is repeated, as a whole,
    until they can: means over the batch, and with them loss, gradients and statistics
    of BatchNormalization, are the same.

    Args:
        count: Integer, the rows of the batch.
        parts: Integer, what `shares` returns.

    Returns:
        An integer array.
    """
    rows = np.tile(np.arange(count), math.lcm(count, parts) // max(count, 1))
    found = distribution()
    if found is None:
        return rows
    return np.split(rows, min(found.num_processes, parts))[found.data_shard_id]


def check_shares(argument, size, fixed=None, parts=None):
    """Raises `ValueError` unless devices can share a full batch.

    Args:
        argument: Name of the argument for the batch size, for the message.
        size: Integer, the batch size.
        fixed: The size of batches that the model is bound to, or `None`.
        parts: Integer, what `shares` returns, if it is known.
    """
    parts = parts or shares()
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
