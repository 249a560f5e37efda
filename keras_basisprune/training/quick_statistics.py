"""Makes the moving statistics of BatchNormalization adapt faster."""

import contextlib

import keras

from keras_basisprune.training.all_layers import all_layers


@contextlib.contextmanager
def quick_statistics(model, max_momentum):
    """Lowers the momentum of BatchNormalization, as a context.

    Masking and pruning change the statistics at once; with the 0.999 of MobileNetV2
    they would lag behind for epochs. Functions that are compiled already keep the old
    momentum, so compile the model again, inside the context.

    Args:
        model: A `keras.Model`, including nested models and wrappers.
        max_momentum: Float, the highest momentum in the context. Lower ones are kept.
    """
    kind = keras.layers.BatchNormalization
    norms = [layer for layer in all_layers(model) if isinstance(layer, kind)]
    own = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = min(norm.momentum, max_momentum)
        yield
    finally:
        for norm, momentum in zip(norms, own, strict=True):
            norm.momentum = momentum
