"""The plain layers that stand for a decomposed one once it is folded."""

import keras

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.basis_pairs import BasisPair
from keras_basisprune.graph.rewrite import clone
from keras_basisprune.linalg import folded_weights


def folded_layers(pair: BasisPair, rank, use_bias=True) -> list[keras.layers.Layer]:
    """Makes the layers that `fold` leaves of a decomposed layer, without weights.

    These are `<layer>_basis` and a pointwise `<layer>`, or one merged `<layer>` where
    that has no more weights (`linalg.folded_weights`).

    Args:
        pair: The `BasisPair` of the layer.
        rank: Integer, the number of bases that are left.
        use_bias: Boolean, whether the last layer has a bias.

    Returns:
        A list of one or two layers: trainable, not built, without activation.
    """
    n, cout = pair.matrix
    if folded_weights(rank, n, cout) == n * cout:
        return [_plain(pair.basis, pair.name, cout, use_bias)]
    return [
        _plain(pair.basis, basis_name(pair.name), rank, False),
        _plain(pair.basis, pair.name, cout, use_bias, **_pointwise(pair.basis)),
    ]


def _plain(basis, name, width, use_bias, **changes):
    units = "units" if isinstance(basis, keras.layers.Dense) else "filters"
    changes = {**changes, units: width, "use_bias": use_bias, "trainable": True}
    return clone(basis, name, kernel_initializer="glorot_uniform", **changes)


def _pointwise(basis) -> dict:
    """What makes a layer of the kind of `basis` one that looks at single positions."""
    if isinstance(basis, keras.layers.Dense):
        return {}
    ones = (1,) * len(basis.kernel_size)
    changes = dict.fromkeys(("kernel_size", "strides", "dilation_rate"), ones)
    return {**changes, "padding": "valid"}
