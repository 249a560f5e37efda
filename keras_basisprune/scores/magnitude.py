"""Importance of bases by the size of their contribution."""

import keras
import numpy as np

from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks


def magnitude(model: keras.Model) -> dict[str, np.ndarray]:
    """Scores each basis by `|s_i| sigma_i`, relative to the largest of its layer.

    `s` are the scales and `sigma` the singular values; for channels with a
    `layers.TrainedMask`, the product is its `strength()`. No data is needed. Time is
    linear in the weights of the scaling layers.

    Source: Wong, Kashyap, Moradi 2021 (arXiv:2108.02893), section 3.2.

    Args:
        model: A converted model, or one with other `layers.TrainedMask`s.

    Returns:
        A dict from the name of each decomposed layer to a float64 array of shape
        `(rank,)` with values in [0, 1]. Masked bases score 0.

    Example:

    >>> scores = keras_basisprune.scores.magnitude(model)
    >>> plan = keras_basisprune.select_bases(model, threshold=0.01, scores=scores)
    """
    return magnitudes(trained_masks(trace(model)))


def magnitudes(masks) -> dict[str, np.ndarray]:
    """Returns the same scores for masked parts by name, without the model."""
    strengths = {name: weighed.strength for name, weighed in masks.items()}
    return {name: found / (found.max() or 1.0) for name, found in strengths.items()}
