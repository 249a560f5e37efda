"""The smallest and largest values of a model's tensors on some data."""

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.batching.spread import run_spread
from keras_basisprune.export.signatures import pack
from keras_basisprune.graph.flat_names import unique_name
from keras_basisprune.graph.graph_function import GraphFunction
from keras_basisprune.graph.rewrite import rewrite


def observed(model, traced, batches, verbose, averaged=()) -> tuple[dict, dict]:
    """Finds the extreme values of each tensor for each sample, and means of channels.

    Time is that of one forward pass; one batch is in memory at a time.

    Args:
        model: The `keras.Model`.
        traced: Its `Trace`.
        batches: An iterable of lists of arrays, one per input of the model.
        verbose: Whether to show a progress bar.
        averaged: The `id`s of tensors of which to take the means, too.

    Returns:
        A dict from the `id` of each tensor of `traced` to an array of shape
        `(samples, 2)`, and one from those in `averaged` to an array with the mean of
        each place of the last axis.

    Raises:
        ValueError: If a value is not finite.
    """
    became: dict[int, list] = {}
    copy = rewrite(model, lambda layer, name: None, traced, became=became)
    tensors = dict(
        zip(map(id, keras.tree.flatten(traced.inputs)), copy.inputs, strict=True)
    )
    for call in traced.calls:
        made = became[id(call)][-1].output_tensors
        tensors.update(zip(map(id, call.output_tensors), made, strict=True))
    taken = {op.name for op in copy.operations}
    probes = []
    chosen = [key for key in averaged if key in tensors]
    wanted = [(_extremes, tensor, 2) for tensor in tensors.values()]
    wanted += [(_means, tensors[key], tensors[key].shape[-1]) for key in chosen]
    for function, tensor, width in wanted:
        name = unique_name("observed", taken, ())
        taken.add(name)
        made = GraphFunction(function, (None, width), "float32", name)
        probes.append(made(tensor))
    probe = keras.Model(copy.input, probes)
    found = []
    with tqdm(unit="sample", disable=not verbose) as bar:
        for batch in batches:
            values = run_spread(probe, pack(copy, batch))
            found.append(values if len(probes) > 1 else [values])
            bar.update(len(batch[0]))
    arrays = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    _check(arrays)
    means = [array.mean(0, dtype=np.float64) for array in arrays[len(tensors) :]]
    extremes = dict(zip(tensors, arrays, strict=False))
    return extremes, dict(zip(chosen, means, strict=True))


def _means(values):
    values = keras.ops.cast(values, "float32")
    axes = list(range(1, len(values.shape) - 1))
    return keras.ops.mean(values, axis=axes) if axes else values


def _extremes(values):
    values = keras.ops.cast(values, "float32")
    values = keras.ops.reshape(values, (keras.ops.shape(values)[0], -1))
    pair = keras.ops.min(values, axis=1), keras.ops.max(values, axis=1)
    return keras.ops.stack(pair, axis=1)


def _check(arrays):
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            "Expected `model` to give finite values on `data`. Received: NaN or "
            "infinity. Scale the samples as for training."
        )
