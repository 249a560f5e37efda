"""A `tf_keras` model as a Keras 3 model."""

import keras

from keras_basisprune.export.tfmot._cannot_cross import Lacking, cannot_cross
from keras_basisprune.export.tfmot._check_outputs import check_outputs
from keras_basisprune.export.tfmot._configs import from_tf_layer
from keras_basisprune.export.tfmot._functions import apply_function
from keras_basisprune.export.tfmot._packages import load_tf_keras
from keras_basisprune.export.tfmot._recorded_calls import recorded_calls
from keras_basisprune.export.tfmot._weights import copy_weights
from keras_basisprune.utils.shown import shown

_OP_LAYERS = ("TFOpLambda", "SlicingOpLambda")
_STRIPPED = {
    "PruneLowMagnitude": "Call `tfmot.sparsity.keras.strip_pruning` first",
    "ClusterWeights": "Call `tfmot.clustering.keras.strip_clustering` first",
    "QuantizeLayer": "Its ranges have no place in Keras 3: write a LiteRT file of it",
    "QuantizeWrapper": "Its ranges have no place in Keras 3: write a LiteRT file of it",
}


def from_tf_keras(model) -> keras.Model:
    """Rebuilds a `tf_keras` model with Keras 3, with the same weights and outputs.

    The way back of `to_tf_keras`, and for any Functional or Sequential `tf_keras`
    model, such as one that TensorFlow Model Optimization has pruned or clustered (after
    `strip_pruning`, `strip_clustering`): weights are copied bit by bit, zeros and
    clusters included. Nested models stay nested, shared layers shared; names and
    `trainable` flags stay. Calls of TensorFlow functions become `keras.ops` functions.
    Time and memory are linear in the number of calls and weights.

    Args:
        model: A built Functional or Sequential `tf_keras.Model`. It is not changed.

    Returns:
        A Functional `keras.Model`, not compiled. In float32 its outputs differ by about
        1e-7 of the largest.

    Raises:
        ValueError: If `model` is none, if `tf_keras` is not installed, or if a layer
            can't cross: the text names it.

    Example:

    >>> pruned = tfmot.sparsity.keras.strip_pruning(trained)
    >>> model = keras_basisprune.export.tfmot.from_tf_keras(pruned)
    """
    tf_keras = load_tf_keras()
    functional = isinstance(model, tf_keras.Model) and getattr(model, "inputs", None)
    if not functional or not _is_graph(model):
        raise ValueError(
            "Expected `model` to be a built Functional or Sequential `tf_keras.Model`. "
            f"Received: model={shown(model)} (of type {type(model).__name__}). Build "
            "it of layers with `tf_keras.Input`."
        )
    return _crossed(model, {})


def _is_graph(model) -> bool:
    """Returns whether a model's config lists its layers; others raise or do not."""
    try:
        return "layers" in model.get_config()
    except NotImplementedError:
        return False


def _crossed(model, layers):
    """Rebuilds a model; `layers` holds the twin of each layer that has one."""
    try:
        recorded = recorded_calls(model)
    except Exception as error:
        raise ValueError(
            "Expected `model` to be one that `tf_keras.models.clone_model` can clone. "
            f"Received: model={model.name!r}, for which it raised "
            f"{type(error).__name__}: {error}. Replace the layer that it names."
        ) from error
    inputs = keras.tree.map_structure(_input, recorded.inputs)
    tensors = {
        id(old): new
        for old, new in zip(
            *map(keras.tree.flatten, (recorded.inputs, inputs)), strict=True
        )
    }

    def new(value):
        return tensors.get(id(value), value)

    for layer, args, kwargs, outputs in recorded.calls:
        args, kwargs = keras.tree.map_structure(new, (args, kwargs))
        made = keras.tree.flatten(_call(model, layer, args, kwargs, outputs, layers))
        for before, after in zip(keras.tree.flatten(outputs), made, strict=True):
            tensors[id(before)] = after
    outputs = keras.tree.map_structure(new, recorded.outputs)
    return keras.Model(inputs, outputs, name=model.name)


def _input(tensor):
    return keras.Input(
        batch_shape=tuple(tensor.shape), dtype=tensor.dtype.name, name=tensor.name
    )


def _call(model, layer, args, kwargs, outputs, layers):
    kind = type(layer).__name__
    try:
        if function := kind in _OP_LAYERS:
            symbol = layer.get_config()["function"]
            made = apply_function(symbol, args, kwargs)
        else:
            made = _call_layer(layer, args, kwargs, layers)
        check_outputs(keras.tree.flatten(outputs), made, function)
        return made
    except Lacking as error:
        remedy = [_STRIPPED[k] for k in _STRIPPED if kind.startswith(k)]
        raise cannot_cross(model.name, layer.name, kind, error, *remedy) from error
    except Exception as error:
        if str(error).startswith("Expected `model`"):
            raise
        why = f"`keras` raised {type(error).__name__}: {error}"
        raise cannot_cross(model.name, layer.name, kind, why) from error


def _call_layer(layer, args, kwargs, layers):
    first = id(layer) not in layers
    if first and isinstance(layer, load_tf_keras().Model):
        if not _is_graph(layer):
            raise Lacking("it is a subclassed model")
        layers[id(layer)] = _crossed(layer, layers)
    elif first:
        layers[id(layer)] = from_tf_layer(layer, layer.name)
    twin = layers[id(layer)]
    recurrent = isinstance(twin, keras.layers.RNN | keras.layers.Bidirectional)
    if recurrent and isinstance(args[0], list | tuple):
        args, kwargs = args[0][:1], {**kwargs, "initial_state": list(args[0][1:])}
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    outputs = twin(*args, **kwargs)
    if first and not isinstance(twin, keras.Model):
        copy_weights(layer, twin)
        twin.trainable = layer.trainable
    return outputs
