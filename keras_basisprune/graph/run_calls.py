"""Compute a part of a model on arrays, one call after the other."""

import keras
import numpy as np


def run_calls(calls, values, wanted, batch_size) -> dict[int, np.ndarray]:
    """Computes tensors of a traced model from others, in inference.

    Time is that of a forward pass through `calls`; memory is that of the result, plus
    one batch through `calls`.

    Args:
        calls: A list of `Call`s in execution order, the last ones of which need no
            other tensors than `values` and the outputs of those before.
        values: Maps `id(tensor)` to arrays with one entry per sample.
        wanted: The `id`s of the tensors to compute, each made by one of `calls`.
        batch_size: Samples that are computed at once.

    Returns:
        A dict from the `id`s in `wanted` to arrays.
    """
    if not wanted:
        return {}
    needed = {id(t) for call in calls for t in call.input_tensors} & values.keys()
    count = len(next(iter(values.values())))
    results: dict[int, np.ndarray] = {}
    for start in range(0, count, batch_size):
        part = slice(start, min(start + batch_size, count))
        made = _run_batch(calls, {key: values[key][part] for key in needed}, wanted)
        for key, value in made.items():
            if key not in results:
                results[key] = np.empty((count, *value.shape[1:]), value.dtype)
            results[key][part] = value
    return results


def _run_batch(calls, arrays, wanted):
    tensors = {}

    def current(value):
        if not isinstance(value, keras.KerasTensor):
            return value
        if id(value) not in tensors:
            array = keras.ops.convert_to_tensor(arrays[id(value)])
            tensors[id(value)] = keras.ops.cast(array, value.dtype)
        return tensors[id(value)]

    made = {}
    for call in calls:
        args, kwargs = keras.tree.map_structure(current, (call.args, call.kwargs))
        outputs = keras.tree.flatten(call.op(*args, **kwargs))
        for symbol, value in zip(call.output_tensors, outputs, strict=True):
            tensors[id(symbol)] = value
            if id(symbol) in wanted:
                made[id(symbol)] = keras.ops.convert_to_numpy(value)
    return made
