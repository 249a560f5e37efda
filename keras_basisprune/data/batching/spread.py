"""Arrays on all devices of a distribution, and back."""

import keras
import numpy as np

from keras_basisprune.data.batching.shares import distribution, shares


def spread(array):
    """Returns a batch with a share of its rows on each device.

    Without a distribution, or if devices can't share the rows, that is the batch
    itself, which every device then computes as a whole.

    Args:
        array: NumPy array; with several processes, the same in each.
    """
    found = distribution()
    if found is None or not isinstance(array, np.ndarray) or array.dtype.kind in "OSU":
        return array
    if array.ndim and len(array) and not len(array) % shares():
        layout = found.get_data_layout(array.shape)
    elif found.num_processes > 1:
        layout = _whole(found, array)
    else:
        return array
    return keras.distribution.distribute_tensor(array, layout)


def run_spread(model, inputs):
    """Runs a model on one batch, in inference, on all devices of a distribution.

    Of several processes, each runs the whole batch.

    Args:
        model: A built `keras.Model`.
        inputs: NumPy arrays in the structure that the model takes.

    Returns:
        What `model.predict_on_batch` returns, for each sample once: replicas of
        `tf.distribute` all answer for the whole batch.
    """
    found, count = distribution(), len(keras.tree.flatten(inputs)[0])
    if found is not None and found.num_processes == 1:
        inputs = keras.tree.map_structure(spread, inputs)
    outputs = model.predict_on_batch(inputs)
    return keras.tree.map_structure(lambda array: array[:count], outputs)


def gathered(value):
    """Returns a tensor as a NumPy array, also if other processes have parts of it."""
    if not getattr(value, "is_fully_addressable", True):
        found = distribution()
        value = keras.distribution.distribute_tensor(value, _whole(found, value))
    return keras.ops.convert_to_numpy(value)


def _whole(found, array):
    axes = [None] * len(array.shape)
    return keras.distribution.TensorLayout(axes, found.device_mesh)
