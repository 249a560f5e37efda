"""Rewrites a network so that each layer is one integer operation of LiteRT."""

import math

import keras
import numpy as np

from keras_basisprune.graph.norm_factor import norm_factor
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.whole_calls import whole_calls
from keras_basisprune.layers import (
    FixedFakeQuantize,
    QuantizedActivation,
    QuantizedWeights,
    StaysFloat,
)
from keras_basisprune.training.quantization import _kinds

_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_AFFINE = (
    keras.layers.BatchNormalization,
    keras.layers.Normalization,
    keras.layers.Rescaling,
)
_SEVERAL_STEPS = {
    keras.activations.silu: "silu",
    keras.activations.hard_sigmoid: "hard_sigmoid",
    keras.activations.hard_silu: "hard_silu",
}
_PROBE = 128.0


def steps(model, bits, unchanged) -> keras.Model:
    """Rewrites a folded model; the new one computes the same.

    Separable convolutions become two, activations that are no ReLU get layers of their
    own, and what multiplies and shifts channels becomes a depthwise convolution.

    Args:
        model: A Functional or Sequential `keras.Model`, folded.
        bits: Integer, the bits of activations.
        unchanged: The `id`s of layers that are only copied.

    Returns:
        A Functional `keras.Model`.
    """
    traced = trace(model)
    calls = whole_calls(traced)

    def replace(layer, name):
        if id(layer) in unchanged or not isinstance(layer, keras.layers.Layer):
            return None
        if type(layer) in _SEPARABLE:
            return _separated(layer, name, bits)
        if QuantizedWeights.accepts(layer):
            return None if _kinds.takes_activation(layer) else _split(layer, name, bits)
        if type(layer) is keras.layers.Activation:
            return _activation(layer.activation, name, layer.dtype_policy, bits)
        if type(layer) is keras.layers.Softmax and bits > 8:
            return [_stays_float(name), NewLayer(clone(layer, name))]
        if type(layer) in _AFFINE:
            return _depthwise(layer, name, calls[id(layer)].input_tensors[0])
        return None

    def arguments(call):
        if type(call.op) in _AFFINE:  # may have a mask that others do not take
            return (call.input_tensors[0],), {}
        return call.args, call.kwargs

    return rewrite(model, replace, traced, arguments)


def _activation(function, name, dtype, bits):
    """Returns the layers of an activation; `None` if it is a single operation."""
    if bits > 8 and function in _kinds.FIXED:
        made = keras.layers.Activation(function, name=name, dtype=dtype)
        return [_stays_float(name), NewLayer(made)]
    if (steps := _SEVERAL_STEPS.get(function)) is None:
        return None
    return [NewLayer(QuantizedActivation(steps, bits, name=name, dtype=dtype))]


def _stays_float(name):
    return NewLayer(StaysFloat(name=f"{name}_float"))


def _split(layer, name, bits):
    linear = clone(layer, name, activation="linear")
    weights = {"kernel": layer.kernel}
    if layer.use_bias:
        weights["bias"] = layer.bias
    return [
        NewLayer(linear, {key: _array(value) for key, value in weights.items()}),
        *_activation_layers(layer, name, bits),
    ]


def _activation_layers(layer, name, bits):
    function, name = layer.activation, f"{name}_activation"
    made = _activation(function, name, layer.dtype_policy, bits)
    if made is None:
        new = keras.layers.Activation(function, name=name, dtype=layer.dtype_policy)
        made = [NewLayer(new)]
    return made


def _separated(layer, name, bits):
    rule = rule_of(layer)
    bias = _array(layer.bias) if layer.use_bias else None
    made = rule.before(layer, name)
    made.append(rule.with_matrix(layer, name, rule.matrix(layer), bias))
    for new in made:
        new.layer.trainable = True
    if layer.activation is keras.activations.linear:
        return made
    if _kinds.takes_activation(layer):
        made[-1].layer.activation = layer.activation
        return made
    return made + _activation_layers(layer, name, bits)


def _depthwise(layer, name, tensor):
    """Returns a convolution with one weight per channel; `None` if there is none."""
    shape, ndim = tensor.shape, len(tensor.shape)
    found = None if shape[-1] is None else _factors(layer, shape[-1], ndim)
    if found is None or ndim not in (2, 3, 4):
        return None
    factor, offset = found
    given = {"dtype": layer.dtype_policy, "name": name, "use_bias": True}
    kind = keras.layers.DepthwiseConv1D if ndim == 3 else keras.layers.DepthwiseConv2D
    size = (1,) * (1 if ndim == 3 else 2)
    made = kind(size, data_format="channels_last", **given)
    weights = {"kernel": factor.reshape((*size, -1, 1)), "bias": offset}
    chain = [NewLayer(made, weights)]
    if ndim == 2:  # as an image of one pixel
        count = shape[-1]
        chain = [
            NewLayer(keras.layers.Reshape((1, 1, count), name=f"{name}_in")),
            *chain,
            NewLayer(keras.layers.Reshape((count,), name=f"{name}_out")),
        ]
    if not keras.backend.is_float_dtype(tensor.dtype):
        if tensor.dtype != "uint8":
            return None
        as_float = FixedFakeQuantize(0.0, 255.0, name=f"{name}_bytes")
        chain.insert(0, NewLayer(as_float))
    return chain


def _factors(layer, channels, ndim):
    """Returns factor and offset per channel of a layer; `None` if it has none."""
    if type(layer) is keras.layers.BatchNormalization:
        axis = layer.axis if layer.axis >= 0 else layer.axis + ndim
        if axis != ndim - 1:
            return None
        factor = norm_factor(layer)
        beta = _array(layer.beta) if layer.center else 0
        return factor, beta - _array(layer.moving_mean) * factor
    shape = (1,) * (ndim - 1) + (channels,)
    try:
        at_zero, at_probe = (
            _array(layer(keras.ops.full(shape, value))) for value in (0.0, _PROBE)
        )
    except Exception:  # statistics that differ from place to place
        return None
    if math.prod(at_zero.shape) != channels:
        return None
    return ((at_probe - at_zero) / _PROBE).ravel(), at_zero.ravel()


def _array(value) -> np.ndarray:
    return keras.ops.convert_to_numpy(value).astype(np.float64)
