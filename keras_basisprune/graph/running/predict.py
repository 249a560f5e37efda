"""Runs a model on arrays, whatever batch size it was built for."""

import keras

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch


def predict(model, images, batch_size=32):
    """Runs a model with one input in inference.

    Args:
        model: A built Functional or Sequential `keras.Model` with one input.
        images: Array of samples.
        batch_size: Integer. A model that runs only on batches of its own size
            (`fixed_batch`) gets those; outputs for padding in the last batch are
            dropped.

    Returns:
        What `model.predict` returns: an array, or a structure of arrays.
    """
    size = fixed_batch(model)
    if size is None:
        return model.predict(images, batch_size=batch_size, verbose=0)
    found = model.predict(fill_up(images, size), batch_size=size, verbose=0)
    return keras.tree.map_structure(lambda one: one[: len(images)], found)
