"""The two layers that stand for a decomposed one."""

import keras
import numpy as np

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.decomposable import SEPARABLE
from keras_basisprune.graph.rewrite import NewLayer
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.linalg import kept_energy


def basis_chain(layer, name, low, kept, l1) -> list[NewLayer]:
    """The plain basis layer and the scaling layer that stand for a layer.

    Args:
        layer: A decomposable layer; of a separable convolution, they stand for the
            pointwise half (and the bias and activation).
        name: What `<name>_basis` and `<name>_scaling` are named after.
        low: The layer's `LowRank` of full rank.
        kept: Integer array of shape `(r,)`: the positions of the bases to keep.
        l1: Float, strength of the L1 regularization of the scales.

    Returns:
        A list of two `NewLayer`s, for `rewrite`.
    """
    r, left = len(kept), np.delete(np.arange(len(low.kernel)), kept)
    values = low.singular_values[np.concatenate([kept, left])]
    energy, low = kept_energy(values, r), low.take(kept)
    centered = low.mean is not None
    scaling = BasisScalingConv(
        low.kernel.shape[1],
        activation=layer.activation,
        use_bias=layer.use_bias or centered,
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
    elif layer.use_bias:
        weights["bias"] = layer.bias
    if isinstance(layer, SEPARABLE):
        basis, shape = _pointwise(layer, r, name), layer.pointwise_kernel.shape
    else:
        basis, shape = _basis(layer, r, name), layer.kernel.shape
    kernel = low.filters.reshape((*shape[:-1], r))
    return [NewLayer(basis, {"kernel": kernel}), NewLayer(scaling, weights)]


_OUTPUT_SIDE = ("bias", "kernel", "activity", "activation", "depthwise", "pointwise")


def _linear_config(config, name):
    """A layer's config without what belongs to its bias, activation and training."""
    config = {
        key: value
        for key, value in config.items()
        if not key.startswith(_OUTPUT_SIDE) or key == "kernel_size"
    }
    return {**config, "use_bias": False, "trainable": False, "name": name}


def _basis(layer, r, name):
    config = _linear_config(layer.get_config(), basis_name(name))
    config["units" if isinstance(layer, keras.layers.Dense) else "filters"] = r
    return type(layer).from_config({**config, "kernel_initializer": "zeros"})


def _pointwise(layer, r, name):
    kinds = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}
    return kinds[len(layer.kernel_size)](
        r,
        1,
        use_bias=False,
        data_format=layer.data_format,
        kernel_initializer="zeros",
        dtype=layer.dtype_policy,
        trainable=False,
        name=basis_name(name),
    )
