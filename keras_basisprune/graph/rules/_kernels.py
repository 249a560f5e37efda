"""Base rule of layers with a kernel of shape `(..., cin, cout)`."""

import math

import keras
import numpy as np

from keras_basisprune.graph.rewrite import NewLayer, clone
from keras_basisprune.graph.rules._reads import axis_first
from keras_basisprune.graph.rules.rule import Rule


class KernelRule(Rule):
    """A kernel whose last axis has the output channels, as in `Conv2D`."""

    inherited = True
    adapted = "kernel"
    width = "filters"  # the argument of the constructor

    def weights(self, layer):
        """Names kernel and bias."""
        return "kernel", "bias"

    def filters(self, layer):
        """Returns the columns of the kernel as a matrix."""
        return columns(layer.kernel)

    def rows(self, layer):
        """Returns the kernel, input channels first."""
        return axis_first(layer.kernel, -2)

    def flops(self, call, shapes):
        """Counts all weights, at each position of the output."""
        kernel = shapes.weight(call.op, "kernel")
        return kernel_flops(call.op, math.prod(kernel), shapes.outputs[0], kernel[-1])

    def fold(self, layer, name, factor, offset):
        """Multiplies the columns of the kernel and changes the bias."""
        return folded(layer, name, factor, offset, {"kernel": factor})

    def matrix(self, layer):
        """Returns the kernel as a matrix."""
        return columns(layer.kernel)

    def matrix_shape(self, layer):
        """Returns the shape of the matrix."""
        *rows, cout = layer.kernel.shape
        return math.prod(rows), cout

    def with_matrix(self, layer, name, matrix, bias=None):
        """Makes a layer of the same class."""
        shape = (*layer.kernel.shape[:-1], np.shape(matrix)[-1])
        changes = {self.width: shape[-1], "use_bias": bias is not None, "name": name}
        config = {**_linear(layer.get_config()), **changes}
        return _with_bias(
            type(layer).from_config(config), np.reshape(matrix, shape), bias
        )

    def weights_for(self, layer, matrix):
        """Returns the kernel for a matrix."""
        return {"kernel": np.reshape(matrix, layer.kernel.shape)}


_OUTPUT_SIDE = ("bias", "kernel", "activity", "activation", "depthwise", "pointwise")


def _linear(config):
    """Returns a layer's config without its bias, activation and training."""
    return {
        key: value
        for key, value in config.items()
        if not key.startswith(_OUTPUT_SIDE) or key == "kernel_size"
    }


def _with_bias(layer, kernel, bias):
    given = {} if bias is None else {"bias": bias}
    return NewLayer(layer, {"kernel": kernel, **given})


def pointwise_layer(layer, name, matrix, bias=None) -> NewLayer:
    """Makes a layer that multiplies the channels at each position by a matrix.

    Args:
        layer: A convolution or dense layer, for whose maps the new layer is made.
        name: The name of the new one.
        matrix: Array of shape `(cin, cout)`.
        bias: Array of shape `(cout,)`, or `None` for none.

    Returns:
        A `NewLayer`: a convolution with a kernel of size 1; or `Dense`, if the kernel
        of `layer` has no spatial axes.
    """
    given = {"use_bias": bias is not None, "dtype": layer.dtype_policy, "name": name}
    if (kernel := getattr(layer, "kernel", None)) is None:
        kernel = layer.pointwise_kernel
    ndim = len(kernel.shape) - 2
    if not ndim:
        made = keras.layers.Dense(matrix.shape[1], **given)
        return _with_bias(made, matrix, bias)
    kinds = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    given["data_format"] = getattr(layer, "data_format", "channels_last")
    made = kinds[ndim - 1](matrix.shape[1], 1, **given)
    return _with_bias(made, matrix.reshape((1,) * ndim + matrix.shape), bias)


def folded(layer, name, factor, offset, factors) -> NewLayer:
    """Clones a layer with a bias, and multiplies its weights by factors.

    Args:
        layer: The layer.
        name: The name of the new one.
        factor: Factor of its outputs.
        offset: Offset that is added to them.
        factors: Maps names of weights to their factors.
    """
    weights = {key: _float64(getattr(layer, key)) * by for key, by in factors.items()}
    bias = _float64(layer.bias) if layer.use_bias else 0
    changes = {"use_bias": True, **without_lora(layer)}
    weights["bias"] = bias * factor + offset
    return NewLayer(clone(layer, name, **changes), weights)


def without_lora(layer) -> dict:
    """Returns the config changes of a layer whose LoRA is merged."""
    if not getattr(layer, "lora_enabled", False):
        return {}
    return {"lora_rank": None, "lora_alpha": None}


def columns(weight) -> np.ndarray:
    """Returns a weight as a matrix, with its last axis as the columns."""
    weight = keras.ops.convert_to_numpy(weight)
    return weight.reshape(-1, weight.shape[-1])


def kernel_flops(layer, weights, shape, width) -> int:
    """Returns 2 x multiply-adds of a kernel applied at all positions of a map.

    Args:
        layer: The layer, for the message.
        weights: Number of weights of the kernel.
        shape: Shape of the map, the batch axis included.
        width: Number of its channels.
    """
    if None in shape[1:]:
        raise ValueError(
            "Expected `model` to have a fixed input size to count FLOPs. Received: "
            f"shape={shape} at `{layer.name}`. Pass `input_shape`, the shape of one "
            "sample, for example `input_shape=(224, 224, 3)`; where there is no such "
            "argument, count parameters, or build the model with full sizes."
        )
    return 2 * weights * (math.prod(shape[1:]) // width)


def _float64(weight):
    return keras.ops.convert_to_numpy(weight).astype(np.float64)
