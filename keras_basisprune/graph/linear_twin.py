"""A copy of a model in which the layers to decompose are purely linear."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.free_names import FreeNames
from keras_basisprune.graph.rewrite import NewLayer, rewrite
from keras_basisprune.graph.rules import rule_of


@dataclasses.dataclass(frozen=True)
class LinearTwin:
    """A flat copy of a model, and a map from original layers to its linear ones.

    Attributes:
        model: A Functional `keras.Model` without nested models that computes the same
            function.
        layers: Maps the `id` of an original layer to its linear part in the copy (a
            convolution or dense layer without activation).
    """

    model: keras.Model
    layers: dict[int, keras.layers.Layer]


def linear_twin(model, traced, chosen) -> LinearTwin:
    """Copies a model and splits layers into their linear part and the rest.

    A convolution or dense layer `<layer>` is copied without activation but always with
    a bias, followed by `<layer>_activation`; a separable convolution becomes
    `<layer>_depthwise` and the pointwise convolution `<layer>`. Bases are computed from
    the outputs of `<layer>`. The given model is not changed. Time and memory are those
    of a copy.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        traced: Its `Trace`.
        chosen: The `id`s of the layers to split, each of them decomposable.

    Returns:
        A `LinearTwin`.
    """
    names: dict[int, str] = {}
    free = FreeNames(call.op for call in traced.calls)

    def replace(layer, name):
        if id(layer) not in chosen:
            return None
        names[id(layer)] = name
        return _split(layer, name, free)

    twin = rewrite(model, replace, traced)
    return LinearTwin(twin, {key: twin.get_layer(name) for key, name in names.items()})


def _split(layer, name, free) -> list[NewLayer]:
    rule, bias = rule_of(layer), getattr(layer, "bias", None)
    matrix = rule.matrix(layer)
    if bias is None:
        bias = np.zeros(matrix.shape[1], np.float32)
    chain = [*rule.before(layer, name), rule.with_matrix(layer, name, matrix, bias)]
    activation = getattr(layer, "activation", keras.activations.linear)
    if activation is not keras.activations.linear:
        activation = keras.layers.Activation(
            activation, dtype=layer.dtype_policy, name=free(f"{name}_activation")
        )
        chain.append(NewLayer(activation))
    return chain
