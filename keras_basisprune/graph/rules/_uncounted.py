"""Tells layers without a rule that multiply from those that don't."""

import re

import keras

from keras_basisprune.graph.trace import is_from_keras

# Classes behind functions of `keras.ops` (which have no public name) that multiply
# tensors with each other.
_MULTIPLYING = re.compile(
    "matmul|dot|inner|outer|einsum|conv(?!ert)|correlate|attention|fft", re.IGNORECASE
)


def multiplies_nothing(op) -> int | None:
    """Returns 0 for a Keras layer or operation without matrix products, else `None`."""
    kind = type(op)
    if not is_from_keras(kind):
        return None
    if isinstance(op, keras.layers.Layer):
        return None if any(len(weight.shape) > 1 for weight in op.weights) else 0
    return None if _MULTIPLYING.search(kind.__name__) else 0
