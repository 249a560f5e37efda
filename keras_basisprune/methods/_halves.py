"""What was decomposed and folded before."""

from keras_basisprune.graph.basis_name import basis_name


def is_half_of(model):
    """Tells which layers of a model are the two halves of one that was decomposed.

    They are not decomposed again: what was a rank is a number of channels now.

    Args:
        model: A `keras.Model`.

    Returns:
        A predicate `layer -> bool`, for `exclude` of `convert`.
    """
    names = {layer.name for layer in model.layers}
    halves = {name for name in names if basis_name(name) in names}
    halves |= {basis_name(name) for name in halves}
    return lambda layer: layer.name in halves
