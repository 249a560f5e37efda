"""Importance of bases by their share of the layer's energy."""

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.trace import trace


def energy(model: keras.Model) -> dict[str, np.ndarray]:
    """Scores each basis by its share of `sum (s_j sigma_j)^2` in its layer.

    `s` are the scales and `sigma` the singular values. No data is needed. Time is
    linear in the weights of the scaling layers.

    Args:
        model: A converted model.

    Returns:
        A dict from the name of each decomposed layer to a float64 array of shape
        `(rank,)`, which sums to 1 (or is zero throughout). Masked bases score 0.

    Example:

    >>> scores = keras_basisprune.scores.energy(model)
    >>> plan = keras_basisprune.select(scores, threshold=1e-4)
    """
    return pair_energies(basis_pairs(trace(model)))


def pair_energies(pairs) -> dict[str, np.ndarray]:
    """The same for `BasisPair`s by name, without a look at the rest of the model."""
    scores = {}
    for name, pair in pairs.items():
        energies = (pair.scale * pair.singular_values * pair.mask) ** 2
        scores[name] = energies / (energies.sum() or 1.0)
    return scores
