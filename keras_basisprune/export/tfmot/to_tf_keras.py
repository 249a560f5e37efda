"""A Keras 3 model as a `tf_keras` model, for TensorFlow Model Optimization."""

import inspect

import keras

from keras_basisprune.export.tfmot._cannot_cross import Lacking, cannot_cross
from keras_basisprune.export.tfmot._check_outputs import check_outputs
from keras_basisprune.export.tfmot._configs import to_tf_layer
from keras_basisprune.export.tfmot._operations import apply_operation
from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot._weights import copy_weights
from keras_basisprune.graph.flat_names import flat_names
from keras_basisprune.graph.trace import trace


def to_tf_keras(model: keras.Model):
    """Rebuilds a Keras 3 model with `tf_keras`, with the same weights and outputs.

    `tf_keras` is Keras 2, which TensorFlow Model Optimization needs. Nested models are
    inlined, shared layers stay shared, and layers keep their names and `trainable`
    flags. Operators and `keras.ops` functions become layers of `tf_keras` where it has
    one that computes the same (`a + b` is `Add`, `x * 2` is `Rescaling`), else calls of
    TensorFlow functions. Initializers are left out: `tf_keras` draws weights of its
    own, and then gets those of the model. Time and memory are linear in the number of
    calls and weights.

    Activations that Keras 2 lacks or computes differently (`hard_sigmoid`, `hard_silu`)
    are functions that are registered under the package `keras_basisprune`: a process
    that loads a saved `tf_keras` model with them has to call `to_tf_keras` on any model
    before, or to pass `custom_objects`.

    Args:
        model: A built Functional or Sequential `keras.Model` with layers of Keras only;
            `fold` a converted model first. It is not changed.

    Returns:
        A Functional `tf_keras.Model`, not compiled. In float32 its outputs differ by
        about 1e-7 of the largest.

    Raises:
        ValueError: If the model is subclassed or not built, if `tf_keras` is not
            installed, or if a layer can't cross: the text names it.

    Example:

    >>> old = keras_basisprune.export.tfmot.to_tf_keras(model)
    >>> pruned = tfmot.sparsity.keras.prune_low_magnitude(old)
    """
    traced = trace(model)
    tf_keras = load_tf_keras()
    names = flat_names(traced)
    layers, tensors = {}, {}
    inputs = [_input(layer) for layer in traced.input_layers]
    for old, made in zip(keras.tree.flatten(traced.inputs), inputs, strict=True):
        tensors[id(old)] = made

    def new(value):
        return tensors[id(value)] if isinstance(value, keras.KerasTensor) else value

    for call in traced.calls:
        name = names[id(call.op)]
        args, kwargs = keras.tree.map_structure(new, (call.args, call.kwargs))
        outputs = _call(model, call, name, args, kwargs, layers)
        made = keras.tree.flatten(outputs)
        for before, after in zip(call.output_tensors, made, strict=True):
            tensors[id(before)] = after
    for old, layer in layers.values():
        _freeze(old, layer)
    return tf_keras.Model(
        keras.tree.pack_sequence_as(traced.inputs, inputs),
        keras.tree.map_structure(new, traced.outputs),
        name=model.name,
    )


def _input(layer):
    return load_tf_keras().Input(
        shape=layer.batch_shape[1:],
        batch_size=layer.batch_shape[0],
        dtype=layer.dtype,
        sparse=layer.sparse,
        name=layer.name,
    )


def _call(model, call, name, args, kwargs, layers):
    """Calls the twin of a layer or operation, made and given its weights once."""
    op = call.op
    try:
        if layer := isinstance(op, keras.layers.Layer):
            outputs = _call_layer(op, name, args, kwargs, layers)
        else:
            dtype = call.output_tensors[0].dtype
            outputs = apply_operation(op, name, args, kwargs, dtype)
        check_outputs(call.output_tensors, outputs, not layer)
        return outputs
    except Lacking as error:
        raise cannot_cross(model.name, op.name, type(op).__name__, error) from error
    except Exception as error:
        why = f"`tf_keras` raised {type(error).__name__}: {error}"
        raise cannot_cross(model.name, op.name, type(op).__name__, why) from error


def _call_layer(layer, name, args, kwargs, layers):
    first = id(layer) not in layers
    if first:
        layers[id(layer)] = layer, to_tf_layer(layer, name)
    twin = layers[id(layer)][1]
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    if kwargs.get("training") and _trains_by_default(layer):
        del kwargs["training"]  # Keras notes it for layers that make random changes
    outputs = twin(*args, **kwargs)
    if first:
        copy_weights(layer, twin)
    return outputs


def _trains_by_default(layer) -> bool:
    """Returns whether a layer takes part in training if nobody says so."""
    given = inspect.signature(layer.call).parameters.get("training")
    return given is not None and given.default is True


def _freeze(old, new):
    """Gives a layer and those within it the `trainable` flags of another."""
    new.trainable = old.trainable
    for key in ("layer", "forward_layer", "backward_layer", "cell"):
        inner, twin = getattr(old, key, None), getattr(new, key, None)
        if isinstance(inner, keras.layers.Layer) and twin is not None and old.trainable:
            _freeze(inner, twin)
