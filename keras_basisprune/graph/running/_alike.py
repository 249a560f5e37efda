"""Checks that several processes begin a training alike."""

import hashlib
import importlib.metadata

import keras
import numpy as np

from keras_basisprune.utils.processes import check_same, process_count
from keras_basisprune.version import __version__


def check_alike(model, data):
    """Raises `ValueError` in every process unless all train the same.

    That is: versions of the packages, weights of the model, and the data, if they are
    arrays, or the number of their batches.

    Args:
        model: The `keras.Model`.
        data: Arrays in any structure, a `keras.utils.PyDataset`, or anything else.
    """
    if process_count() == 1:
        return
    packages = ("keras", "jax", "numpy")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    check_same(versions=[f"keras_basisprune {__version__}", *versions])
    check_same(weights=[_sum(v.value) for v in model.weights])
    if isinstance(data, keras.utils.PyDataset):
        check_same(number_of_batches=data.num_batches)
    elif isinstance(data, tuple):
        check_same(data=[_sum(a) for a in keras.tree.flatten(data)])


def _sum(array):
    """Returns the shape and a checksum; `None` where a process has only a part."""
    if array is None or not getattr(array, "is_fully_replicated", True):
        return None
    value = np.ascontiguousarray(keras.ops.convert_to_numpy(array))
    if value.dtype.kind in "OSU":
        return value.tolist()
    return value.shape, hashlib.sha256(value.tobytes()).hexdigest()
