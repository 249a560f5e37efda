"""Checks that a classifier's outputs are probabilities."""

import keras
import numpy as np


def check_probabilities(argument, found):
    """Raises `ValueError` unless outputs are probabilities.

    Args:
        argument: Name of the argument, for the message.
        found: Array or tensor of outputs, of shape `(batch, classes)`.

    Raises:
        ValueError: If an output is negative, or those of an image do not sum to 1.
    """
    found = keras.ops.convert_to_numpy(found).astype("float64")
    total = found.sum(-1)
    if not (np.all(found >= 0) and np.allclose(total, 1.0, atol=1e-2)):
        raise ValueError(
            f"Expected `{argument}` to return probabilities that sum to 1. Received: "
            f"outputs that sum to {total.flat[0]:.4g}, from {found.min():.4g} to "
            f"{found.max():.4g}. End it in `keras.layers.Softmax()`, or, if these are "
            "logits, compile it with a loss of logits, or pass from_logits=True in a "
            "`Recovery`."
        )
