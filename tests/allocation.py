"""What ranks are chosen by."""

import math

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.rewrite import clone
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import LatencyTable
from keras_basisprune.measure.fold_costs import FoldCosts


def drawn_scores(ranks, seed, power=1):
    """Random scores of the bases of layers, given the layers' ranks by name."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0.01, 1.0, rank) ** power for name, rank in ranks.items()}


def of_layers(converted, keep, cost="params"):
    """A share of what the decomposed layers cost, as one of the whole model."""
    traced = trace(converted)
    costs = FoldCosts(converted, basis_pairs(traced), traced)
    each, sizes = costs.per_weight(cost), costs.sizes()
    layers = sum(each[name] * np.prod(sizes[name]) for name in sizes)
    rest = costs.rest(cost)
    return min(1.0, (keep * layers + rest) / (layers + rest))


class Proportional(LatencyTable):
    """A table in which a layer takes time as it has weights.

    Args:
        factors: What the weights of a layer are multiplied by, by the size of its map.
    """

    def __init__(self, factors):
        super().__init__()
        self._factors = factors

    def milliseconds(self, layer, input_shape):
        copy = clone(layer, layer.name)
        copy.build((1, *input_shape))
        weights = sum(math.prod(w.shape) for w in copy.weights if len(w.shape) > 1)
        positions = math.prod(copy.compute_output_shape((1, *input_shape))[1:-1])
        size = input_shape[0] if len(input_shape) > 1 else 1
        return weights * positions * self._factors[size % len(self._factors)] * 1e-6
