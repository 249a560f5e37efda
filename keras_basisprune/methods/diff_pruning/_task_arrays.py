"""Samples and targets out of whatever `keras.Model.fit` takes."""

import keras
import numpy as np

from keras_basisprune.data.elements import elements
from keras_basisprune.data.ends import SampleCounter, check_ends


def task_arrays(argument, model, data) -> tuple:
    """Reads all of the data into a pair of arrays; a pair is returned as it is.

    Args:
        argument: Name of the argument, for messages.
        model: A `keras.Model`.
        data: A pair `(x, y)`, `x` an array or a structure of arrays; or a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader` or
            another iterable of such pairs, of batches or of single samples. It is read
            once; data of unknown length may take 4 GiB.

    Raises:
        ValueError: If the data are of another form, hold weights, have no end, or their
            batches do not fit together.
    """
    if isinstance(data, tuple) or (isinstance(data, list) and not _all_pairs(data)):
        return _pair(argument, data)
    batched = isinstance(data, keras.utils.PyDataset) or hasattr(data, "__iter__")
    if not batched or isinstance(data, str | bytes | dict) or hasattr(data, "shape"):
        raise _refusal(argument, type(data).__name__)
    check_ends(argument, data)
    counter, parts = SampleCounter(argument, data, kept=True, all_used=True), []
    for element in elements(data):
        parts.append(_batch(argument, model, element))
        counter.add(keras.tree.flatten(parts[-1]))
    if not parts:
        raise _refusal(argument, f"{type(data).__name__} without any")
    return _joined(argument, parts)


def _all_pairs(data) -> bool:
    """Whether a list is one of batches, and no pair of samples and targets."""
    return bool(data) and all(isinstance(x, tuple) and len(x) == 2 for x in data)


def _pair(argument, data):
    if len(data) == 3 and data[2] is not None:
        raise _refusal(argument, "weights as well, which diff pruning doesn't take")
    if not 2 <= len(data) <= 3 or data[0] is None or data[1] is None:
        raise _refusal(argument, f"{type(data).__name__} of {len(data)}")
    return tuple(data[:2])


def _batch(argument, model, element):
    """One batch, a pair of a structure and an array; single samples are one, too."""
    if not isinstance(element, tuple | list):
        raise _refusal(argument, f"elements of type {type(element).__name__}")
    x, y = _pair(argument, element)
    try:
        x, y = keras.tree.map_structure(_array, x), _array(y)
    except Exception as error:  # of any library, for its sparse or ragged tensors
        raise _refusal(
            argument, f"a batch of which NumPy makes none: {error}"
        ) from error
    inputs, arrays = getattr(model, "inputs", None) or (), keras.tree.flatten(x)
    ranks = [len(tensor.shape) - 1 for tensor in inputs]
    if not y.ndim or ranks == [array.ndim for array in arrays]:
        x, y = keras.tree.map_structure(lambda array: array[None], (x, y))
    sizes = {array.shape[:1] for array in (*keras.tree.flatten(x), y)}
    if len(sizes) != 1 or () in sizes:
        shapes = [array.shape for array in (*keras.tree.flatten(x), y)]
        raise _refusal(argument, f"a batch of arrays of the shapes {shapes}")
    return x, y


def _array(value):
    is_tensor = hasattr(value, "shape") and hasattr(value, "dtype")
    return keras.ops.convert_to_numpy(value) if is_tensor else np.asarray(value)


def _joined(argument, parts):
    try:
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
    except (ValueError, TypeError) as error:
        found = (keras.tree.map_structure(np.shape, part[0]) for part in parts)
        shapes = ", ".join(sorted({str(shape) for shape in found}))
        raise _refusal(argument, f"batches of the shapes {shapes[:200]}") from error


def _refusal(argument, received):
    return ValueError(
        f"Expected `{argument}` to be a pair (x, y) of arrays, or an iterable of such "
        f"batches, of samples and targets that fit together. Received: {received}. "
        "Pass samples and integer labels, or a dataset of these."
    )
