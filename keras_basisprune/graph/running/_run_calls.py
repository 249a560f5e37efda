"""Computes a part of a model on arrays, one call after the other."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.batching.spread import gathered, spread


def run_calls(calls, values, wanted, made=list) -> dict[int, Sequence[np.ndarray]]:
    """Computes tensors of a traced model from others, in inference, batch by batch.

    The devices of a distribution share a batch, if they can divide it.

    Time is that of a forward pass through `calls`; memory is that of the result, plus
    one batch through `calls`.

    Args:
        calls: A list of `Call`s in execution order, which read only tensors of `values`
            and outputs of earlier calls.
        values: Maps `id(tensor)` to a list of arrays, one per batch.
        wanted: The `id`s of the tensors to compute, each an output of one of `calls`.
        made: A function that returns an empty list to append arrays to.

    Returns:
        A dict from the `id`s in `wanted` to lists of arrays, one per batch.
    """
    results: dict[int, Any] = {key: made() for key in wanted}
    needed = {id(t) for call in calls for t in call.input_tensors} & values.keys()
    batches = len(next(iter(values.values()))) if wanted else 0
    for index in range(batches):
        arrays = {key: values[key][index] for key in needed}
        for key, value in _run_batch(calls, arrays, wanted).items():
            results[key].append(value)
    return results


def _run_batch(calls, arrays, wanted):
    tensors = {}

    def current(value):
        if not isinstance(value, keras.KerasTensor):
            return value
        if id(value) not in tensors:
            array = keras.ops.convert_to_tensor(spread(arrays[id(value)]))
            tensors[id(value)] = keras.ops.cast(array, value.dtype)
        return tensors[id(value)]

    made = {}
    for call in calls:
        args, kwargs = keras.tree.map_structure(current, (call.args, call.kwargs))
        if isinstance(call.op, keras.layers.Layer):
            # As in `predict`: Keras' random layers store `training=True`, their
            # default, in the graph.
            kwargs["training"] = False
        outputs = keras.tree.flatten(call.op(*args, **kwargs))
        for symbol, value in zip(call.output_tensors, outputs, strict=True):
            tensors[id(symbol)] = value
            if id(symbol) in wanted:
                made[id(symbol)] = gathered(value)
    return made
