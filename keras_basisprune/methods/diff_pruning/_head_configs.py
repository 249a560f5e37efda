"""The layers of a head, as values for JSON."""

import keras

from keras_basisprune.methods.diff_pruning._task_weights import owners


def head_configs(model, weights) -> list:
    """Returns the configs of the layers that have some weights.

    Args:
        model: The `keras.Model`.
        weights: List of the head's variables.

    Returns:
        A list; with `None` for a layer that Keras can't write and read back.
    """
    return [_config_of(layer) for layer in owners(model, weights)]


def _config_of(layer):
    try:
        config = keras.saving.serialize_keras_object(layer)
        keras.saving.deserialize_keras_object(config)
    except Exception:  # functions that are not registered, and the like
        return None
    return config
