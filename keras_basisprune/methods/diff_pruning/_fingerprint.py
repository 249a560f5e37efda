"""Recognizes a base by its weights."""

import hashlib
import json

import numpy as np
from keras import ops


def fingerprint(variables) -> str:
    """Returns the SHA-256 of the values, shapes, dtypes and names of variables.

    Names are the last parts of paths (`kernel`): layers without a name of their own are
    numbered in the order of their making. Time is linear in the number of weights; one
    variable at a time is copied.

    Args:
        variables: List of `keras.Variable`s, in order.

    Returns:
        A string of 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for variable in variables:
        shape = [int(size) for size in variable.shape]
        head = [variable.name, shape, str(variable.dtype)]
        digest.update(json.dumps(head).encode())
        digest.update(np.ascontiguousarray(array_of(variable)).tobytes())
    return digest.hexdigest()


def array_of(variable) -> np.ndarray:
    """Returns a copy of the value of a variable."""
    return np.array(ops.convert_to_numpy(variable.value))
