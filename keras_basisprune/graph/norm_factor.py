"""The factors of BatchNormalization in inference."""

import keras
import numpy as np


def norm_factor(norm) -> np.ndarray:
    """Returns `gamma / sqrt(variance + epsilon)` per channel, in float64."""
    variance = keras.ops.convert_to_numpy(norm.moving_variance).astype(np.float64)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * keras.ops.convert_to_numpy(norm.gamma).astype(np.float64)
    return factor
