"""Outputs before they are rounded, for losses."""

import keras

from keras_basisprune.graph.compiled_losses import compiled_losses
from keras_basisprune.layers import FixedFakeQuantize


def unrounded_outputs(model):
    """Returns a model with the same layers that does not round its last outputs.

    An int8 file has probabilities in steps of 1/256. Losses of them are of no use: most
    are zero, and they don't sum to 1.

    Args:
        model: A `keras.Model`.

    Returns:
        A model that shares all layers and weights with it, compiled with the same
        losses; the model itself if its outputs are not rounded so.
    """
    last = {
        id(layer.output): layer.input
        for layer in getattr(model, "layers", ())
        if isinstance(layer, FixedFakeQuantize) and not layer.while_training
    }
    outputs = () if isinstance(model, keras.Sequential) else model.outputs
    if not any(id(tensor) in last for tensor in outputs):
        return model
    outputs = keras.tree.map_structure(
        lambda tensor: last.get(id(tensor), tensor), model.output
    )
    inner = keras.Model(model.input, outputs, name=model.name)
    if getattr(model, "compiled", False) and model.loss is not None:
        _, weights = compiled_losses(model)
        given = {"loss_weights": weights} if isinstance(model.loss, list) else {}
        inner.compile(loss=model.loss, **given)
    return inner
