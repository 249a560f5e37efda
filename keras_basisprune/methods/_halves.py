"""Layers that were decomposed and folded before."""

from keras_basisprune.graph.basis_name import basis_name


def is_half_of(model):
    """Returns a test for layers that are one half of a layer decomposed before.

    They are not decomposed again: the former rank is a number of channels now.

    Args:
        model: A `keras.Model`.

    Returns:
        A predicate `layer -> bool`, for `exclude` of `convert`.
    """
    names = {layer.name for layer in model.layers}
    halves = {name for name in names if basis_name(name) in names}
    halves |= {basis_name(name) for name in halves}
    return lambda layer: layer.name in halves
