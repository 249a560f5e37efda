"""Writes SavedModels and runs them, under TensorFlow."""

import functools

import keras

from keras_basisprune.data.batching.run_batches import run_batches
from keras_basisprune.export import signatures


def write_saved_model(model, path, specs):
    """Writes the folder of a model.

    Args:
        model: The `keras.Model`.
        path: Where to write.
        specs: The list of `keras.InputSpec` of its inputs.
    """
    model.export(
        str(path),
        format="tf_saved_model",
        verbose=False,
        input_signature=[signatures.pack(model, specs)],
    )


def run_saved_model(model, path, inputs, size) -> list:
    """Returns the outputs of a loaded folder, as a flat list of arrays.

    Args:
        model: The `keras.Model` that it was made from.
        path: The folder.
        inputs: List of arrays, one per input.
        size: The batch size that it takes; `None` for any.
    """
    import tensorflow as tf

    pack = functools.partial(signatures.pack, model)
    loaded = tf.saved_model.load(str(path))  # owns the variables of `serve`

    def run(arrays):
        outputs = loaded.serve(pack([tf.constant(array) for array in arrays]))
        return [output.numpy() for output in keras.tree.flatten(outputs)]

    return run_batches(run, inputs, size or len(inputs[0]))
