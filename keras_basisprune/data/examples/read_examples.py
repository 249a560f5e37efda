"""Reads samples, targets and weights from whatever `fit` takes."""

from collections.abc import Iterator

import keras
import numpy as np

from keras_basisprune.data.check_images import check_images
from keras_basisprune.data.elements import elements
from keras_basisprune.data.ends import SampleCounter, check_ends
from keras_basisprune.data.examples.array_examples import ArrayExamples
from keras_basisprune.data.examples.batch import Batch
from keras_basisprune.data.examples.per_output import per_output
from keras_basisprune.data.examples.stream_examples import StreamExamples
from keras_basisprune.data.sample_batches import sample_batches


def read_examples(argument, model, data, labels="optional", spare=1000, seed=0):
    """Reads samples, targets and weights from whatever `fit` takes.

    Args:
        argument: Name of the argument, for messages.
        model: A built Functional or Sequential `keras.Model`.
        data: Samples `x` alone, `(x, y)` or `(x, y, sample_weight)`, where `x` is an
            array, or a list or dict of arrays for several inputs, and `y` the same for
            outputs; or a `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch
            `DataLoader` or another iterable of such batches. What can be read only once
            (a generator) is read into memory, 4 GiB at most; everything else stays
            where it is.
        labels: `"needed"`, `"optional"`, or `"ignored"`: then they may be anything.
        spare: Integer, how many samples of a stream are kept to fit layers on.
        seed: Integer that determines which.

    Returns:
        `ArrayExamples` or `StreamExamples`.

    Raises:
        ValueError: If the data are of another form, do not fit the inputs, lack labels
            that are needed, or have other numbers of samples and labels.
    """
    parts = _parts(model, data)
    if parts is None:
        found = _stream(argument, model, data, labels, spare, seed)
    elif labels == "ignored":
        found = _arrays(argument, model, parts[:1], data, parts[1:])
    else:
        if len(parts) == 1 and labels == "needed":
            raise _no_pair(argument, data, labels)
        found = _arrays(argument, model, parts, data)
    if labels == "needed" and not found.labelled:
        raise ValueError(
            f"Expected `{argument}` to hold labels. Received: {len(found)} samples "
            "without (y=None). Pass a pair (x, y)."
        )
    return found


def _parts(model, data):
    """Returns samples, labels and weights of arrays; `None` for a stream."""
    count = len(model.inputs)
    if isinstance(data, tuple) and 1 <= len(data) <= 3:
        return data
    if isinstance(data, dict) or (hasattr(data, "shape") and hasattr(data, "dtype")):
        return (data,)
    if isinstance(data, list) and data and not any(isinstance(d, tuple) for d in data):
        if count == 1 and len(data) == 2:
            return tuple(data)
        if len(data) == count:
            return (data,)
    return None


def _arrays(argument, model, parts, given, others=()):
    x, y, weights = (*parts, None, None)[:3]
    if len(model.inputs) == 1 and not isinstance(x, dict | tuple):
        inner = x[0] if isinstance(x, list) and len(x) == 1 else None
        x = x if inner is None or np.ndim(inner) < len(model.inputs[0].shape) else inner
        if str(model.inputs[0].dtype) == "string":
            inputs = next(sample_batches(model, None, np.asarray(x), argument))
        else:
            inputs = [check_images(argument, x, model.inputs[0].shape[1:])]
    else:
        inputs = next(sample_batches(model, None, x, argument))
    targets = per_output(argument, model, y, "labels")
    shared = per_output(argument, model, weights, "weights", shared=True)
    batch = Batch(inputs, targets, shared)
    for array in shared or ():
        if array is not None and len(array) != len(batch):
            raise ValueError(
                f"Expected `{argument}` to hold one weight per sample. Received: "
                f"{len(batch)} samples and weights of shape {array.shape}. Pass as "
                "many."
            )
    return ArrayExamples(model, batch, given, others)


def _stream(argument, model, data, labels, spare, seed):
    readable = isinstance(data, keras.utils.PyDataset) or hasattr(data, "__iter__")
    if not readable or isinstance(data, str | bytes | tuple):
        raise _no_pair(argument, data, labels)
    if not isinstance(data, Iterator):
        return StreamExamples(argument, model, data, spare, seed, labels != "ignored")
    check_ends(argument, data)
    counter, kept = SampleCounter(argument, data, kept=True, all_used=True), []
    for element in elements(data):
        kept.append(element)
        counter.add([np.asarray(a) for a in keras.tree.flatten(element)])
    return StreamExamples(argument, model, kept, spare, seed, labels != "ignored")


def _no_pair(argument, data, labels):
    wanted, remedy = "a pair (x, y) of arrays", "images and integer labels"
    if labels == "optional":
        wanted, remedy = f"{wanted}, or images alone", f"{remedy}, or an array"
    return ValueError(
        f"Expected `{argument}` to be {wanted}, or a dataset of such batches. "
        f"Received: {type(data).__name__}. Pass {remedy}."
    )
