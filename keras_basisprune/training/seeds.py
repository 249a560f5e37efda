"""Sets random states that depend on a seed alone."""

import keras
import numpy as np


def set_global_seed(*key):
    """Sets Python's, NumPy's and the backend's global random state.

    On PyTorch, Keras' dropout uses it; functions that augment images may use it, too.

    Args:
        *key: Integers >= 0 that determine it, such as a seed and an epoch.
    """
    keras.utils.set_random_seed(_mixed(*key))


def set_seeds(layer, *key):
    """Sets the state of every `keras.random.SeedGenerator` of a layer or model.

    Dropout and random augmentation use such states, which are variables of the layer;
    by default they depend on when the layer was made.

    Args:
        layer: A `keras.layers.Layer` or model.
        *key: As for `set_global_seed`.
    """
    states = [v for v in layer.variables if v.name == "seed_generator_state"]
    for index, state in enumerate(states):
        state.assign(np.array([_mixed(*key, index), 0]).astype(state.dtype))


def _mixed(*key) -> int:
    return int(np.random.default_rng(key).integers(2**31))
