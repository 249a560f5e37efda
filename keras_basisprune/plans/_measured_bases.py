"""Scores bases by what a network's outputs lose without them."""

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.linalg import folded_weights
from keras_basisprune.plans._check_measured import curves_of
from keras_basisprune.scores.to_decompose import to_decompose

_ORDER = 1e-7  # by which scores within a layer differ at least, relatively
_LEAST = 1e-15


def measured_bases(model, traced, found) -> dict[str, np.ndarray]:
    """Returns scores of bases, so that score per cost is loss per cost that is saved.

    Losses are those of the lower convex hull of each curve, over the weights that the
    folded layer saves. Ranks at which it would not be smaller than the whole layer are
    left out.

    Args:
        model: A model, converted or not.
        traced: Its `Trace`.
        found: A `Sensitivity` of the model that is not converted, or was not.

    Returns:
        A dict from the layers of the curves of bases to float64 arrays `(rank,)`.

    Raises:
        ValueError: If there is no such curve, or one does not fit the model.
    """
    shapes = _shapes(model, traced)
    sizes = {name: min(shape) for name, shape in shapes.items()}
    curves = curves_of(found, "bases", sizes)
    scores = {curve.layer: _scores(curve, shapes[curve.layer]) for curve in curves}
    for name in shapes if basis_pairs(traced) else ():
        if name not in scores:  # not measured: it keeps its bases
            largest = max(values.max() for values in scores.values())
            scores[name] = np.full(min(shapes[name]), 1e9 * (largest or 1.0))
    return scores


def _shapes(model, traced) -> dict[str, tuple[int, int]]:
    if pairs := basis_pairs(traced):
        return {name: pair.matrix for name, pair in pairs.items()}
    found = to_decompose(model, lambda layer: True)
    shapes = {
        found.names[key]: rule_of(layer).matrix_shape(layer)
        for key, layer in found.layers.items()
    }
    return {name: shape for name, shape in shapes.items() if shape is not None}


def _scores(curve, shape) -> np.ndarray:
    n, cout = shape
    expected = curve.expected()
    ranks = [
        rank
        for rank in range(curve.total - 1, 0, -1)
        if folded_weights(rank, n, cout) < n * cout
    ]
    saved = np.array([0, *(n * cout - rank * (n + cout) for rank in ranks)], float)
    losses = np.array([0.0, *(expected[curve.total - rank] for rank in ranks)])
    steps = _hull(saved, losses)  # loss per weight, from each rank to the next
    first = steps[0] if len(steps) else 1.0
    last = 2 * steps[-1] if len(steps) else 1.0
    each = np.full(curve.total, first)
    for rank, step in zip(ranks, steps, strict=True):
        each[rank] = step  # the basis that leaves on the way to this rank
    each[0] = max(last, _LEAST)
    if ranks:
        each[ranks[0] :] = first
    return np.maximum(each, _LEAST) * (n + cout) * (1 - _ORDER * np.arange(curve.total))


def _hull(places, values) -> np.ndarray:
    """Slopes of the lower convex hull of a curve, between its points."""
    corners = [0]
    for place in range(1, len(values)):
        while len(corners) > 1:
            before, corner = corners[-2:]
            rise, run = values[corner] - values[before], places[corner] - places[before]
            slope = (values[place] - values[corner]) / (places[place] - places[corner])
            if rise < slope * run:
                break
            corners.pop()
        corners.append(place)
    hull = np.interp(places, places[corners], values[corners])
    return np.maximum.accumulate(np.diff(hull) / np.diff(places))
