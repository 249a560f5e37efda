"""Finds the layers of a model to decompose, with their names."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.basis_name import basis_name
from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.chosen_layers import chosen_layers
from keras_basisprune.graph.decomposable import kernel_matrix
from keras_basisprune.graph.flat_names import flat_names
from keras_basisprune.graph.linear_twin import LinearTwin, linear_twin
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import Trace, trace
from keras_basisprune.linalg import LowRank, svd_basis


@dataclasses.dataclass(frozen=True)
class ToDecompose:
    """The layers of a model to decompose.

    Attributes:
        traced: The model's `Trace`.
        layers: Maps the `id` of each such layer to it, in order of execution.
        names: Maps these `id`s to the names of the layers in a flat model, which plans
            and scores use.
    """

    traced: Trace
    layers: dict[int, keras.layers.Layer]
    names: dict[int, str]

    def layer_names(self) -> list[str]:
        """Returns the layers' own names, for the `include` of a copy of the model."""
        return [layer.name for layer in self.layers.values()]


def to_decompose(model, include=None, exclude=None) -> ToDecompose:
    """Finds the layers of a model to decompose, and checks the model.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        include: As in `convert`.
        exclude: As in `convert`.

    Returns:
        A `ToDecompose`.

    Raises:
        NothingToDecompose: If there is no such layer.
        ValueError: If the model is converted already, can't be read, or has weights
            that are not finite, or a name or expression matches no layer.
    """
    traced = trace(model)
    if pairs := basis_pairs(traced):
        raise ValueError(
            "Expected `model` not to be converted yet. Received: a model with "
            f"BasisScalingConv layers ({', '.join(list(pairs)[:3])}, ...). Train, "
            "`prune` and `fold` it, or start again from the original."
        )
    check_finite_weights(model)
    layers = {id(call.op): call.op for call in traced.calls}
    layers = {k: x for k, x in layers.items() if isinstance(x, keras.layers.Layer)}
    chosen = chosen_layers(list(layers.values()), include, exclude)
    layers = {key: layer for key, layer in layers.items() if key in chosen}

    def stands(layer, name):
        if id(layer) not in layers:
            return None
        before = [new.layer.name for new in rule_of(layer).before(layer, name)]
        return [*before, basis_name(name), f"{name}_scaling"]

    names = flat_names(traced, stands)
    return ToDecompose(traced, layers, {key: names[key] for key in layers})


def twin_of(model, found) -> LinearTwin:
    """Returns the `LinearTwin` in which the layers of a `ToDecompose` are linear.

    Raises:
        ValueError: If a kernel holds NaN or infinite values.
    """
    for layer in found.layers.values():
        kernel_matrix(layer)
    return linear_twin(model, found.traced, set(found.layers))


def weight_basis(layer) -> LowRank:
    """Returns the singular vectors of the matrix of a layer."""
    u, s, vt = svd_basis(kernel_matrix(layer))
    return LowRank(u, s[:, None] * vt)


def spectrum(layer, low) -> np.ndarray:
    """Returns the singular values of a layer after rounding a basis to its dtype.

    Args:
        layer: The layer.
        low: Its `LowRank` of full rank.

    Returns:
        A float64 array of shape `(rank,)`.
    """
    dtype = layer.dtype_policy.variable_dtype
    kernel = keras.ops.convert_to_tensor(low.kernel, dtype=dtype)
    return LowRank(low.filters, keras.ops.convert_to_numpy(kernel)).singular_values
