"""Sets which weights of a model train."""

import contextlib

import keras

from keras_basisprune.graph.last_layers import last_layers
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import TrainedMask
from keras_basisprune.training.all_layers import all_layers


@contextlib.contextmanager
def trained_weights(model, weights):
    """Sets which weights train, as a context, and restores all flags at its end.

    A compiled model trains the weights that were trainable when it was compiled, so
    compile it again, inside and afterwards.

    Args:
        model: A Functional or Sequential model, converted or not.
        weights: `"all"`, every weight that its layer has created as trainable; or
            `"scales"`, those of BasisScalingConv (and every other `TrainedMask`) and
            BatchNormalization layers and of the head: the last layer with weights on
            the way to each output.
    """
    # Setting a layer's flag sets those of the layers in it, so outer ones come first.
    layers = sorted(all_layers(model), key=lambda x: len(all_layers(x)), reverse=True)
    flags = [(x, x.trainable) for x in [*layers, *model.variables]]
    try:
        for layer in layers:
            # TensorFlow ignores a flag that doesn't change, for inner layers too.
            layer.trainable = False
            layer.trainable = True
        if weights == "scales":
            _freeze_all_but_scales(model, layers)
        yield
    finally:
        for item, flag in flags:
            item.trainable = flag


def _freeze_all_but_scales(model, layers):
    read = trace(model)
    heads = last_layers(read, lambda op: bool(getattr(op, "weights", ())))
    heads = {id(layer) for layer in heads}
    for call in read.calls:
        if isinstance(call.op, keras.layers.Layer):
            call.op.trainable = False
    scales = TrainedMask | keras.layers.BatchNormalization
    for layer in layers:
        if isinstance(layer, scales) or id(layer) in heads:
            layer.trainable = True
