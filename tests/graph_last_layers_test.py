"""Holds which layers are found last on the way to the outputs."""

import keras
from keras import layers

from keras_basisprune.graph.last_layers import last_layers
from keras_basisprune.graph.trace import trace
from keras_basisprune.methods._head_layers import head_layers
from keras_basisprune.training.trained_weights import trained_weights


def network(shared=False):
    """Two outputs behind a body, one of them normalized at last."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, activation="relu", name="body")(inputs)
    a = layers.Conv2D(2, 1, name="a")
    y = layers.Softmax()(a(x))
    z = a(layers.ReLU()(x)) if shared else layers.Conv2D(4, 1, name="b")(x)
    return keras.Model(inputs, [y, layers.BatchNormalization(name="norm")(z)])


def names(found):
    return {layer.name for layer in found}


def has_weights(op):
    return bool(getattr(op, "weights", ()))


def has_kernel(op):
    return hasattr(op, "kernel")


def test_the_last_of_a_kind_on_the_way_to_each_output():
    read = trace(network())
    assert names(last_layers(read, has_weights)) == {"a", "norm"}
    assert names(last_layers(read, has_kernel)) == {"a", "b"}
    assert last_layers(read, lambda op: False) == []
    assert len(last_layers(trace(network(shared=True)), has_kernel)) == 1  # once


def test_both_that_ask_agree():
    """One convolution that makes all outputs is the head; of two, none is."""
    assert head_layers(trace(network())) == []
    assert names(head_layers(trace(network(shared=True)))) == {"a"}
    model = network()
    with trained_weights(model, "scales"):
        trained = {x.name for x in model.layers if x.trainable_weights}
    assert trained == {"a", "norm"}
