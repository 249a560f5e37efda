"""Runs a model on arrays, whatever batch size it was built for."""

import keras
import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.shares import distribution
from keras_basisprune.data.batching.spread import run_spread


def predict(model, images, batch_size=32):
    """Runs a model in inference.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        images: Array of samples; a list of one per input for several inputs.
        batch_size: Integer. A model that runs only on batches of its own size
            (`fixed_batch`) gets those; outputs for padding in the last batch are
            dropped.

    Returns:
        What `model.predict` returns: an array, or a structure of arrays.
    """
    size, count = fixed_batch(model), len(keras.tree.flatten(images)[0])
    if isinstance(images, list) and len(getattr(model, "inputs", ())) == len(images):
        images = keras.tree.pack_sequence_as(model.input, images)
    if distribution() is not None:
        return _on_devices(model, images, count, size or batch_size)
    if size is None:
        return model.predict(images, batch_size=batch_size, verbose=0)
    images = keras.tree.map_structure(lambda one: fill_up(one, size), images)
    found = model.predict(images, batch_size=size, verbose=0)
    return keras.tree.map_structure(lambda one: one[:count], found)


def _on_devices(model, images, count, size):
    """Runs a model batch by batch, since devices may be unable to share the last."""
    parts = []
    for start in range(0, count, size):
        rows = np.arange(start, start + size) % count
        batch = keras.tree.map_structure(lambda one, r=rows: one[r], images)
        parts.append(run_spread(model, batch))
    return keras.tree.map_structure(lambda *all: np.concatenate(all)[:count], *parts)
