"""Batches that fit a model's inputs, from any form of data."""

import math

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.full_batches import full_batches
from keras_basisprune.data.elements import elements
from keras_basisprune.data.ends import SampleCounter, check_ends
from keras_basisprune.utils.check_numeric import check_numeric

_CHECKED = 256  # samples that are checked at once


def sample_batches(
    model,
    specs,
    data,
    argument,
    batch_size=None,
    limit=None,
    kept=False,
    answers=None,
    all_used=False,
):
    """Reads samples, batch by batch, from any form of `data`.

    Labels that come with the samples are left out, unless `answers` takes them. One
    batch is in memory at a time.
    Data that is known to be endless is refused before it is read: a `tf.data.Dataset`
    by its cardinality, a `keras.utils.PyDataset` by `num_batches`. Data of unknown
    length is an error if it has not ended after 100,000 samples.

    Args:
        model: The model that `specs` belong to.
        specs: A list of `keras.InputSpec`, one per input of the model; `None` to take
            them from its inputs.
        data: One array for a model with one input; a list, tuple or dict (by input
            name) of arrays for several; a tuple `(inputs, targets)` of these; or a
            `keras.utils.PyDataset` or iterable (such as a `tf.data.Dataset`) of such
            batches, or of single samples.
        argument: The name of the argument, for messages.
        batch_size: Size of the batches that arrays are cut into; `None` for one batch.
            Larger batches from an iterable are cut too. A model that runs only on
            batches of its own size (`fixed_batch`) gets those instead, the last one
            filled up with earlier samples.
        limit: The most samples to read, also from endless data. `None` for all.
        kept: Whether the caller keeps all batches: data of unknown length may then take
            4 GiB at most.
        answers: A list to which the targets and weights of all that is read are
            appended, a pair for each element of `data`; `None` for missing ones.
        all_used: Whether more samples are better (see `SampleCounter`).

    Yields:
        Lists with one NumPy array per input, of one common length.

    Raises:
        ValueError: If `data` is empty, a shape does not fit, a value is not finite, or
            the data do not end.
    """
    if specs is None:
        specs = [
            keras.InputSpec(shape=t.shape, dtype=t.dtype, name=t.name)
            for t in model.inputs
        ]
    if limit is None:
        check_ends(argument, data)
    answers = [] if answers is None else answers
    counter = SampleCounter(argument, data, kept, all_used)
    batches = _batches(
        model, specs, data, argument, batch_size, limit, counter, answers
    )
    size = None if batch_size is None else fixed_batch(model)
    yield from batches if size is None else full_batches(batches, size)


def _batches(model, specs, data, argument, batch_size, limit, counter, answers):
    """Yields the batches of `sample_batches`, of any size."""
    count = 0
    for element, *others in _elements(model, specs, data):
        answers.append(others)
        arrays = _as_batch(model, specs, element)
        _check_batch(specs, arrays, element, argument)
        counter.add(arrays)
        size = min(len(arrays[0]), (limit or math.inf) - count)
        count += size
        for start in range(0, size, batch_size or size or 1):
            stop = min(start + (batch_size or size), size)
            yield [array[start:stop] for array in arrays]
        if count == limit:
            return
    if not count:
        raise ValueError(
            f"Expected `{argument}` to hold at least one sample. Received: {argument}="
            f"{_describe(data)}. Pass arrays of the shapes {_wanted(specs)}, or an "
            "iterable that can be read more than once."
        )


def are_arrays(model, data) -> bool:
    """Returns whether samples are given as arrays, and not as a stream of batches."""
    specs = [keras.InputSpec(shape=t.shape) for t in model.inputs]
    return isinstance(data, tuple) or _as_batch(model, specs, data) is not None


def _elements(model, specs, data):
    """Yields the batches of `data`, each with labels and weights."""
    if _as_batch(model, specs, data) is not None:
        return [(data, None, None)]
    if isinstance(data, tuple):
        return [_parted(data)]
    if not (isinstance(data, keras.utils.PyDataset) or hasattr(data, "__iter__")):
        return [(data, None, None)]
    return (
        (element, None, None)
        if _as_batch(model, specs, element) is not None
        else _parted(element)
        for element in elements(data)
    )


def _parted(element):
    """Returns an element's samples, labels and weights, if it is such a tuple."""
    if isinstance(element, tuple | list) and not 1 <= len(element) <= 3:
        return element, None, None
    return keras.utils.unpack_x_y_sample_weight(element)


def _as_batch(model, specs, data):
    """Returns `data` as a list of arrays, one per input; `None` if it is no batch."""
    if isinstance(data, dict):
        names = [tensor.name for tensor in model.inputs]
        if set(data) != set(names):
            names = list(model.input) if isinstance(model.input, dict) else names
            names = sorted(names) if set(data) == set(names) else []
        data = [data[name] for name in names] or None
    elif hasattr(data, "shape") and hasattr(data, "dtype"):
        data = [data]
    if not isinstance(data, (list, tuple)) or len(data) != len(specs):
        return None
    if not all(hasattr(array, "shape") for array in data):
        return None
    arrays = [
        array if isinstance(array, np.ndarray) else keras.ops.convert_to_numpy(array)
        for array in data
    ]
    return [
        array[None] if array.ndim == len(spec.shape) - 1 else array
        for array, spec in zip(arrays, specs, strict=True)
    ]


def _check_batch(specs, batch, data, argument):
    """Raises a `ValueError` unless `batch` fits `specs`."""
    fits = batch is not None and all(
        array.ndim == len(spec.shape)
        and len(array) == len(batch[0])
        and all(
            size in (None, got)
            for size, got in zip(spec.shape[1:], array.shape[1:], strict=True)
        )
        for array, spec in zip(batch, specs, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `{argument}` to hold arrays of the shapes {_wanted(specs)}. "
            f"Received: {argument}={_describe(data)}. Pass an array, a list or dict "
            "of arrays for several inputs, or an iterable of batches."
        )
    for array, spec in zip(batch, specs, strict=True):
        if str(spec.dtype) != "string":
            check_numeric(argument, array, f"numbers for the input {spec.name!r}")
        elif array.dtype.kind not in "OSU":
            raise ValueError(
                f"Expected `{argument}` to hold texts for the input {spec.name!r}. "
                f"Received: an array of shape {array.shape}, dtype {array.dtype}. Pass "
                "an array of strings."
            )
        if array.dtype.kind == "f" and not _finite(array):
            raise ValueError(
                f"Expected `{argument}` to hold finite numbers. Received: NaN or "
                f"infinity for the input {spec.name!r}. Remove these samples."
            )


def _finite(array) -> bool:
    """Returns whether all numbers are finite; some samples at a time."""
    parts = range(0, len(array), _CHECKED)
    return all(np.isfinite(array[i : i + _CHECKED]).all() for i in parts)


def _wanted(specs):
    """Returns the shapes of a batch for messages."""
    return {spec.name: (None, *spec.shape[1:]) for spec in specs}


def _describe(data):
    """Returns a short description of `data` for messages."""
    shapes = keras.tree.map_structure(
        lambda leaf: tuple(leaf.shape) if hasattr(leaf, "shape") else type(leaf), data
    )
    return str(shapes)[:200]
