"""What multiplies, and what doesn't, where no rule says how much."""

import re

import keras

from keras_basisprune.graph.trace import is_from_keras

# Classes behind functions of `keras.ops` (which have no public name) that multiply
# tensors with each other.
_MULTIPLYING = re.compile(
    "matmul|dot|inner|outer|einsum|conv(?!ert)|correlate|attention|fft", re.IGNORECASE
)


def multiplies_nothing(op) -> int | None:
    """0 for a layer or operation of Keras that multiplies by no matrix, else `None`."""
    kind = type(op)
    if not is_from_keras(kind):
        return None
    if isinstance(op, keras.layers.Layer):
        return None if any(len(weight.shape) > 1 for weight in op.weights) else 0
    return None if _MULTIPLYING.search(kind.__name__) else 0
