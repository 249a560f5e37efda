"""The constructor's arguments of a layer in the other Keras version."""

import importlib
import inspect

import keras

from keras_basisprune.export.tfmot._activations import (
    from_tf_activation,
    to_tf_activation,
)
from keras_basisprune.export.tfmot._cannot_cross import Lacking
from keras_basisprune.export.tfmot._packages import load_tf_keras

# Attributes that hold layers which are arguments of the constructor.
_INNER = ("layer", "backward_layer", "cell")
_ACTIVATIONS = ("activation", "recurrent_activation")
# What changes neither the function nor the weights.
_WITHOUT_EFFECT = {
    *("autocast", "batch_input_shape", "build_config", "dtype", "dynamic", "fused"),
    *("flash_attention", "force_generator", "implementation", "input_length"),
    *("input_spec", "key_shape", "lora_alpha", "name", "query_shape", "rng_type"),
    *("seed", "synchronized", "trainable", "use_cudnn", "value_shape", "weights"),
}
_PASSED_ON = "zero_output_for_mask"  # recurrent layers take it among `**kwargs`
_RENAMED = {"LeakyReLU": ("negative_slope", "alpha")}
_TABLES = {
    *("Hashing", "HashedCrossing", "IntegerLookup", "StringLookup"),
    *("TextVectorization", "RandomContrast", "RandomCrop"),
}
# Layers of Keras Applications have no public name; both versions keep them here.
_HIDDEN = {
    "CustomScaleLayer": "src.applications.inception_resnet_v2",
    "LayerScale": "src.applications.convnext",
    "StochasticDepth": "src.applications.convnext",
}


def to_tf_layer(layer, name):
    """Returns an unbuilt layer of `tf_keras` that computes what one of Keras does.

    Args:
        layer: A `keras.layers.Layer`.
        name: The new layer's name.

    Raises:
        Lacking: If there is none; the text says why.
    """
    policy = layer.dtype_policy.name
    if layer.dtype_policy.quantization_mode is not None:
        raise Lacking(f"it is quantized (dtype policy {policy!r})")
    if isinstance(layer, keras.layers.Lambda):
        return load_tf_keras().layers.Lambda(
            layer.function, arguments=layer.arguments, name=name, dtype=policy
        )
    return _Crossing("keras", load_tf_keras(), to_tf_activation).layer(
        layer, name, policy
    )


def from_tf_layer(layer, name):
    """Returns an unbuilt layer of Keras that computes what one of `tf_keras` does.

    Args:
        layer: A `tf_keras.layers.Layer`.
        name: The new layer's name.

    Raises:
        Lacking: If there is none; the text says why.
    """
    policy = layer.dtype_policy.name
    if isinstance(layer, load_tf_keras().layers.Lambda):
        return keras.layers.Lambda(
            layer.function, arguments=layer.arguments, name=name, dtype=policy
        )
    return _Crossing("tf_keras", keras, from_tf_activation).layer(layer, name, policy)


class _Crossing:
    """Makes layers of one version from those of the other.

    Args:
        package: Name of the version that layers come from.
        other: The module of the other version.
        activation: The function that crosses activations.
    """

    def __init__(self, package, other, activation):
        self._package = package
        self._other = other
        self._activation = activation

    def layer(self, layer, name, policy):
        kind = self._class(layer)
        config = layer.get_config()
        defaults, accepted = constructor(type(layer)), constructor(kind)
        own, its = _RENAMED.get(kind.__name__, (None, None))
        if self._package == "tf_keras":
            own, its = its, own
        config = {its if key == own else key: x for key, x in config.items()}
        arguments = {"name": name, "dtype": policy}
        for key, value in config.items():
            if key in _WITHOUT_EFFECT or key.endswith("_initializer"):
                continue
            if key in accepted or (key == _PASSED_ON and value):
                arguments[key] = self._value(layer, key, value, policy)
            elif kind.__name__.startswith("Random"):
                continue  # for the training of images with boxes, say
            elif not _is_default(value, defaults.get(key)):
                raise Lacking(f"`{self._other.__name__}` has no `{key}={value!r}`")
        return kind(**arguments)

    def _class(self, layer):
        kind = type(layer)
        name, package = kind.__name__, self._other.__name__
        if kind.__module__.split(".")[0] != self._package:
            if kind.__module__.startswith("keras_basisprune."):
                raise Lacking("it is a layer for training; `fold` the model first")
            raise Lacking(f"its class is not one of `{self._package}`")
        if name in _HIDDEN:
            return getattr(importlib.import_module(f"{package}.{_HIDDEN[name]}"), name)
        if name in _TABLES or not hasattr(self._other.layers, name):
            raise Lacking(f"`{package}` has none that computes the same")
        return getattr(self._other.layers, name)

    def _value(self, layer, key, value, policy):
        if key in _ACTIVATIONS:
            return self._activation(getattr(layer, key, None))
        if key in _INNER and (inner := _inner(layer, key)) is not None:
            name = inner.name.removeprefix("forward_")
            return self.layer(inner, name, inner.dtype_policy.name)
        if key == "cells":
            return [self.layer(x, x.name, x.dtype_policy.name) for x in layer.cells]
        if key.endswith(("_regularizer", "_constraint")) and value is not None:
            module = "regularizers" if key.endswith("r") else "constraints"
            return self._penalty(module, getattr(layer, key, None), value)
        if key == "axis" and isinstance(value, list | tuple) and len(value) == 1:
            return value[0]
        return value

    def _penalty(self, module, held, value):
        """Returns a regularizer or constraint of the other version."""
        name = type(held).__name__ if held is not None else value["class_name"]
        kind = getattr(getattr(self._other, module), name, None)
        own = held is None or type(held).__module__.split(".")[0] == self._package
        if not own or not isinstance(kind, type):
            raise Lacking(f"`{self._other.__name__}.{module}` has no `{name}`")
        return kind(**(value["config"] if held is None else held.get_config()))


def _inner(layer, key):
    """Returns the layer in a wrapper; `Bidirectional` of Keras has two others."""
    found = getattr(layer, key, None)
    return getattr(layer, "forward_layer", None) if found is None else found


def constructor(kind) -> dict:
    """Maps the arguments of a class and its bases to their defaults."""
    found = {}
    for base in kind.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            for one in parameters:
                if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
                    found.setdefault(one.name, one.default)
    return found


def _is_default(value, default):
    """Returns whether leaving an argument out means the same as passing it."""
    if default in (None, inspect.Parameter.empty):
        return value in (None, False, "channels_last")
    return value == default
