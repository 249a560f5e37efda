"""Multiply-adds of convolutions, dense layers, and what is like them."""

import math
import re

import keras

from keras_basisprune.layers import BasisScalingConv

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    BasisScalingConv,
    *_DEPTHWISE,
    *_TRANSPOSED,
    *_SEPARABLE,
)


def convolution(layer, shapes) -> int:
    """Of a convolution or dense layer: all weights, at each position."""
    at = shapes.outputs[0]
    if isinstance(layer, _SEPARABLE):
        pointwise = shapes.weight(layer, "pointwise_kernel")
        weights = math.prod(shapes.weight(layer, "depthwise_kernel"))
        weights, width = weights + math.prod(pointwise), pointwise[-1]
        return weights * _positions(at, width, layer)
    kernel = shapes.weight(layer, "kernel")
    width = kernel[-1]
    if isinstance(layer, _TRANSPOSED):
        at = shapes.inputs[0]
    elif isinstance(layer, _DEPTHWISE):
        width = math.prod(kernel[-2:])
    return math.prod(kernel) * _positions(at, width, layer)


def _positions(shape, width, layer):
    """Positions at which the kernel is applied: all sizes but batch and channels."""
    if None in shape[1:]:
        raise ValueError(
            "Expected `model` to have a fixed input size to count FLOPs. Received: "
            f"shape={shape} at `{layer.name}`. Pass `input_shape`, the shape of one "
            "sample, for example `input_shape=(224, 224, 3)`."
        )
    return math.prod(shape[1:]) // width


def einsum_dense(layer, shapes) -> int | None:
    """Of `EinsumDense`: the kernel, times all that only the input has."""
    read, kernel = re.split(",|->", layer.equation.replace(" ", ""))[:2]
    given = shapes.inputs[0]
    before, dots, after = read.partition("...")
    hidden = range(len(before), len(given) - len(after)) if dots else ()
    labels = [*before, *[None] * len(hidden), *after]
    others = [
        size
        for axis, (label, size) in enumerate(zip(labels, given, strict=True))
        if axis and (label is None or label not in kernel)
    ]
    if None in others:
        return None
    return math.prod(shapes.weight(layer, "kernel")) * math.prod(others)
