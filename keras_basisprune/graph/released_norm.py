"""BatchNormalization after network slimming."""

import keras

from keras_basisprune.graph.rewrite import NewLayer, clone
from keras_basisprune.layers import SlimmingRegularizer


def released_norm(layer: keras.Operation, name: str) -> list[NewLayer] | None:
    """Makes a layer without the regularizer of `methods.slimming`, for `rewrite`.

    Args:
        layer: A layer or other operation.
        name: The name of the new one.

    Returns:
        A list of one `NewLayer`, with the regularizer from before; `None` if the layer
        has no such regularizer.
    """
    regularizer = getattr(layer, "gamma_regularizer", None)
    if not isinstance(regularizer, SlimmingRegularizer):
        return None
    former = keras.regularizers.serialize(regularizer.instead_of)
    return [NewLayer(clone(layer, name, gamma_regularizer=former))]
