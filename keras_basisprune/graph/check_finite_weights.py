"""Rejects weights that are not finite."""

import keras
import numpy as np

from keras_basisprune.graph.trace import is_from_keras


def check_finite_weights(model):
    """Raises `ValueError` if a weight of a model is NaN or infinite.

    Every weight is read once. Infinities are accepted in custom layers, where they may
    be intended (attention masks).

    Args:
        model: A built `keras.Model`.
    """
    pending, seen = list(model.layers), set()
    while pending:
        layer = pending.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if hasattr(layer, "layers"):
            pending = [*layer.layers, *pending]
            continue
        own = is_from_keras(type(layer))
        wrong = sum(_wrong(weight, own) for weight in layer.weights)
        if wrong:
            raise ValueError(
                "Expected `model` to have finite weights. Received: "
                f"{wrong} NaN or infinite values in layer `{layer.name}`. Train the "
                "model again with a lower learning rate, or load weights that were "
                "saved before it diverged."
            )


def _wrong(weight, infinite_too) -> int:
    value = np.asarray(keras.ops.convert_to_numpy(weight))
    if value.dtype.kind not in "fV":
        return 0
    value = value.astype(np.float32, copy=False)
    wrong = ~np.isfinite(value) if infinite_too else np.isnan(value)
    return int(np.count_nonzero(wrong))
