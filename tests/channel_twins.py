"""Models in which some channels are copies of others, all the way through."""

import numpy as np
from models import array

import keras_basisprune as kbp

# Weights with one entry per output channel, and the axis that it stands on.
_AXES = {
    "Conv2DTranspose": {"kernel": -2, "bias": -1},
    "DepthwiseConv2D": {"kernel": -2, "bias": -1},
    "SeparableConv2D": {"pointwise_kernel": -1, "bias": -1},
}
_NAMES = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "alpha")


def twinned(model, share=0.3, seed=0):
    """Makes channels copies of others, in place. Returns a plan without the copies.

    What makes, shifts or scales a copy gets the weights of its twin, so that both carry
    the same values wherever they go; what reads them stays as it is.
    """
    groups = kbp.graph.channel_groups(model)
    twins = _pairs(groups, share, np.random.default_rng(seed))
    layers = {layer.name: layer for layer in model.layers}
    channels = {}
    for name, of in groups.layers.items():
        copies = np.flatnonzero(np.isin(of, list(twins)))
        if not len(copies):
            continue
        sources = [_same_place(of, at, twins[of[at]]) for at in copies]
        _copy(layers[name], sources, copies)
        channels[name] = kbp.plans.Kept(
            tuple(np.delete(np.arange(len(of)), copies)), len(of)
        )
    return kbp.Plan(channels=channels)


def _pairs(groups, share, rng):
    """Maps groups that become copies to those that they become copies of."""
    places: dict[int, list] = {}
    for name, of in groups.layers.items():
        for group, count in zip(*np.unique(of, return_counts=True), strict=True):
            places.setdefault(int(group), []).append((name, int(count)))
    alike: dict[tuple, list] = {}
    for group, where in places.items():
        if group not in groups.pinned:
            alike.setdefault(tuple(where), []).append(group)
    twins = {}
    for found in alike.values():
        order = rng.permutation(found)
        count = int(share * len(order))
        for copy in order[:count]:
            twins[int(copy)] = int(rng.choice(order[count:]))
    return twins


def _same_place(of, at, group):
    """The position of a group that is the same in its row as `at` is in its own."""
    turn = np.flatnonzero(of == of[at]).tolist().index(at)
    return np.flatnonzero(of == group)[turn]


def _copy(layer, sources, copies):
    axes = _AXES.get(type(layer).__name__, dict.fromkeys(_NAMES, -1))
    for name, axis in axes.items():
        weight = getattr(layer, name, None)
        if weight is None:
            continue
        values = np.moveaxis(array(weight), axis, 0)
        values[copies] = values[sources]
        weight.assign(np.moveaxis(values, 0, axis))
