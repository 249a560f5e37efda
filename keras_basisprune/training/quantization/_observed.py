"""The smallest and largest values of a model's tensors on some data."""

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.export.signatures import pack
from keras_basisprune.graph.flat_names import unique_name
from keras_basisprune.graph.graph_function import GraphFunction
from keras_basisprune.graph.rewrite import rewrite

_BATCH = 32


def observed(model, traced, data, samples, verbose) -> dict[int, np.ndarray]:
    """Finds the extreme values of each tensor for each sample.

    Time is that of one forward pass; one batch is in memory at a time.

    Args:
        model: The `keras.Model`.
        traced: Its `Trace`.
        data: Samples, in any form.
        samples: Integer, the most samples that are read.
        verbose: Whether to show a progress bar.

    Returns:
        A dict from the `id` of each float tensor of `traced` to an array of shape
        `(samples, 2)`.

    Raises:
        ValueError: If `data` does not fit the model or a value is not finite.
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
    for tensor in tensors.values():
        name = unique_name("extremes", taken, ())
        taken.add(name)
        probes.append(GraphFunction(_extremes, (None, 2), "float32", name)(tensor))
    probe = keras.Model(copy.input, probes)
    found = []
    with tqdm(total=samples, unit="sample", disable=not verbose) as bar:
        for batch in sample_batches(
            model, None, data, "data", batch_size=_BATCH, limit=samples
        ):
            values = probe.predict_on_batch(pack(copy, batch))
            found.append(values if len(probes) > 1 else [values])
            bar.update(len(batch[0]))
    arrays = [np.concatenate(parts)[:samples] for parts in zip(*found, strict=True)]
    _check(arrays)
    return dict(zip(tensors, arrays, strict=True))


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
