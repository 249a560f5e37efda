"""Several processes that run the same program on one model, as JAX has them."""

import contextlib
import hashlib
import pickle
import sys

import numpy as np


def process_count() -> int:
    """Returns how many processes share the distribution that is set.

    One, unless `keras.distribution.set_distribution` (or a `scope`) has set one that
    has devices of several processes. Processes without one know nothing of each other.
    """
    keras = sys.modules.get("keras")
    found = keras and keras.distribution.distribution()
    return getattr(found, "num_processes", 1) if found is not None else 1


def is_first_process() -> bool:
    """Returns whether this process writes files: of several, only the first does."""
    if process_count() == 1:
        return True
    import jax  # the only backend of Keras on which a distribution has processes

    return jax.process_index() == 0


@contextlib.contextmanager
def alone():
    """Lets one process save a model by itself, as a context.

    When Keras saves one, it makes an empty optimizer, to see which attributes all have.
    Under a distribution its variables are put on all devices, for which all processes
    would have to meet.
    """
    keras = sys.modules.get("keras")
    found = keras and keras.distribution.distribution()
    if found is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(found)


def from_first(find):
    """Returns what a function returns in the first process, in all of them.

    All processes must call it at the same place. If the function raises there, all
    processes raise the same error, so that none of them waits for another.

    Args:
        find: A function without arguments, called in the first process only. What it
            returns, or raises, can be pickled.
    """
    if process_count() == 1:
        return find()
    found = b""
    if is_first_process():
        try:
            found = pickle.dumps((True, find()))
        except Exception as error:
            found = pickle.dumps((False, error))
    good, value = pickle.loads(_sent(found))
    if not good:
        raise value
    return value


def check_same(**values):
    """Raises `ValueError` in every process unless all have the same values.

    All processes must call it at the same place.

    Args:
        **values: What should be the same, by what it is called: anything that is
            represented by its `repr`.
    """
    if process_count() == 1:
        return
    import jax
    from jax.experimental import multihost_utils

    digests = [hashlib.sha256(repr(v).encode()).digest() for v in values.values()]
    own = np.frombuffer(b"".join(digests), np.uint8).reshape(len(values), -1)
    found = np.asarray(multihost_utils.process_allgather(own))
    for place, name in enumerate(values):
        others = np.flatnonzero((found[:, place] != found[0, place]).any(-1))
        if len(others):
            shown = ", ".join(map(str, others))
            raise ValueError(
                f"Expected all processes to have the same {name.replace('_', ' ')}. "
                f"Received: another one in process {shown} than in process 0; this is "
                f"process {jax.process_index()}, which has {str(values[name])[:200]}. "
                "Start the same program, with the same data and seeds, everywhere."
            )


def _sent(content) -> bytes:
    """Sends bytes of the first process to all others."""
    from jax.experimental import multihost_utils

    send = multihost_utils.broadcast_one_to_all
    count = int(send(np.array(len(content), np.int32)))
    row = np.zeros(count, np.uint8)
    if is_first_process():
        row[:] = np.frombuffer(content, np.uint8)
    return np.asarray(send(row)).astype(np.uint8).tobytes()
