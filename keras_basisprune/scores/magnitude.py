"""Importance of bases by the size of what they contribute."""

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.trace import trace


def magnitude(model: keras.Model) -> dict[str, np.ndarray]:
    """Scores each basis by `|s_i| sigma_i`, relative to the largest of its layer.

    `s` are the scales and `sigma` the singular values. No data is needed. Time is
    linear in the weights of the scaling layers.

    Source: Wong, Kashyap, Moradi 2021 (arXiv:2108.02893), section 3.2.

    Args:
        model: A converted model.

    Returns:
        A dict from the name of each decomposed layer to a float64 array of shape
        `(rank,)` with values in [0, 1]. Masked bases score 0.

    Example:

    >>> scores = keras_basisprune.scores.magnitude(model)
    >>> plan = keras_basisprune.select(scores, threshold=0.01)
    """
    return pair_magnitudes(basis_pairs(trace(model)))


def pair_magnitudes(pairs) -> dict[str, np.ndarray]:
    """The same for `BasisPair`s by name, without a look at the rest of the model."""
    scores = {}
    for name, pair in pairs.items():
        strength = np.abs(pair.scale) * pair.singular_values * pair.mask
        scores[name] = strength / (strength.max() or 1.0)
    return scores
