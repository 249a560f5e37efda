"""Moving statistics that keep up with a model that changes."""

import contextlib

import keras

from keras_basisprune.training._all_layers import all_layers


@contextlib.contextmanager
def quick_statistics(model, most):
    """Lowers the momentum of BatchNormalization for a while.

    Masking and pruning change the statistics at once; with the 0.999 of MobileNetV2
    they would lag behind for epochs. What a compiled function has traced stays: compile
    the model anew, inside.

    Args:
        model: A `keras.Model`; nested models and wrappers are looked into.
        most: Float, the highest momentum inside the `with` block. Lower ones stay.
    """
    kind = keras.layers.BatchNormalization
    norms = [layer for layer in all_layers(model) if isinstance(layer, kind)]
    own = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = min(norm.momentum, most)
        yield
    finally:
        for norm, momentum in zip(norms, own, strict=True):
            norm.momentum = momentum
