"""Importance of bases by their share of the layer's energy."""

import keras
import numpy as np

from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks


def energy(model: keras.Model) -> dict[str, np.ndarray]:
    """Scores each basis by its share of `sum (s_j sigma_j)^2` in its layer.

    `s` are the scales and `sigma` the singular values; for channels with a
    `layers.TrainedMask`, `s sigma` is its `strength()`. No data is needed. Time is
    linear in the weights of the scaling layers.

    Args:
        model: A converted model, or one with other `layers.TrainedMask`s.

    Returns:
        A dict from the name of each decomposed layer to a float64 array of shape
        `(rank,)`, which sums to 1 (or is all zero). Masked bases score 0.

    Example:

    >>> scores = keras_basisprune.scores.energy(model)
    >>> plan = keras_basisprune.select_bases(model, threshold=1e-4, scores=scores)
    """
    return energies(trained_masks(trace(model)))


def energies(masks) -> dict[str, np.ndarray]:
    """Returns the same scores for masked parts by name, without the model."""
    return {name: energy_shares(weighed.strength) for name, weighed in masks.items()}


def energy_shares(strengths) -> np.ndarray:
    """Returns the squares of an array, as shares of their sum (or all zero)."""
    squares = strengths**2
    return squares / (squares.sum() or 1.0)
