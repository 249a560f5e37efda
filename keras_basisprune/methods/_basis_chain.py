"""The two layers that replace a decomposed one."""

import keras
import numpy as np

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.rewrite import NewLayer
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.linalg import kept_energy


def basis_chain(layer, name, low, kept, l1) -> list[NewLayer]:
    """Makes the basis layer and the scaling layer that replace a layer.

    Args:
        layer: A decomposable layer.
        name: The stem of the names `<name>_basis` and `<name>_scaling`.
        low: The layer's `LowRank` of full rank.
        kept: Integer array of shape `(r,)`: the positions of the bases to keep.
        l1: Float, strength of the L1 regularization of the scales.

    Returns:
        A list of `NewLayer`s, for `rewrite`: these two, after the layers for any
        preceding step (the depthwise half of a separable convolution).
    """
    r, removed = len(kept), np.delete(np.arange(len(low.kernel)), kept)
    values = low.singular_values[np.concatenate([kept, removed])]
    energy, low = kept_energy(values, r), low.take(kept)
    centered, bias = low.mean is not None, getattr(layer, "bias", None)
    scaling = BasisScalingConv(
        low.kernel.shape[1],
        activation=getattr(layer, "activation", None),
        use_bias=bias is not None or centered,
        l1=l1 or None,
        energy=energy,
        data_format=getattr(layer, "data_format", "channels_last"),
        centered=centered,
        activity_regularizer=layer.activity_regularizer,
        dtype=layer.dtype_policy,
        name=f"{name}_scaling",
    )
    weights = {"kernel": low.kernel}
    if centered:
        weights |= {"mean": low.mean, "bias": low.bias}
    elif bias is not None:
        weights["bias"] = bias
    rule = rule_of(layer)
    basis = rule.with_matrix(layer, basis_name(name), low.filters)
    basis.layer.trainable = False
    if hasattr(basis.layer, "kernel_initializer"):
        basis.layer.kernel_initializer = keras.initializers.Zeros()
    return [*rule.before(layer, name), basis, NewLayer(scaling, weights)]
