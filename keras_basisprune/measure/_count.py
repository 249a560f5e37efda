"""Counts weights and multiply-adds, call by call."""

import dataclasses
import math
import re

import keras

from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.trace import trace


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What one layer costs.

    Attributes:
        name: The layer's name.
        kind: Its class name.
        params: Number of weights, counted once if the layer is shared.
        flops: 2 x multiply-adds for one sample, over all calls of the layer.
        bytes: Size of the weights in memory.
    """

    name: str
    kind: str
    params: int
    flops: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a model costs.

    Attributes:
        params: Number of weights, trainable or not.
        flops: 2 x multiply-adds of all convolutions and dense layers, one sample.
        bytes: Size of the weights in memory.
        layers: A `LayerCost` per layer that has weights or FLOPs, in order.
        uncounted: Names of layers whose FLOPs no rule knows; they count as 0.
    """

    params: int
    flops: int
    bytes: int
    layers: tuple[LayerCost, ...]
    uncounted: tuple[str, ...]

    def __str__(self):
        text = f"{self.params:,} parameters, {self.flops:,} FLOPs, {self.bytes:,} bytes"
        if self.uncounted:
            text += f" (FLOPs without {', '.join(self.uncounted)})"
        return text


def count(model, input_shape=None, argument="model") -> Cost:
    """Counts what `cost` returns."""
    found: dict[int, LayerCost] = {}
    uncounted: dict[str, None] = {}
    seen: set[int] = set()
    for call in trace(model, input_shape, argument).calls:
        layer = call.op
        flops = call_flops(call)
        if flops is None:
            flops = 0
            uncounted[layer.name] = None
        if id(layer) in found:
            known = found[id(layer)]
            found[id(layer)] = dataclasses.replace(known, flops=known.flops + flops)
        elif flops or getattr(layer, "weights", ()):
            found[id(layer)] = _layer_cost(layer, flops, seen)
    layers = tuple(found.values())
    return Cost(
        sum(layer.params for layer in layers),
        sum(layer.flops for layer in layers),
        sum(layer.bytes for layer in layers),
        layers,
        tuple(uncounted),
    )


def _layer_cost(layer, flops, seen):
    """The first call's `LayerCost`; weights of a layer before don't count again."""
    weights = [w for w in getattr(layer, "weights", ()) if id(w) not in seen]
    seen |= {id(w) for w in weights}
    sizes = [math.prod(w.shape) for w in weights]
    return LayerCost(
        layer.name,
        type(layer).__name__,
        sum(sizes),
        flops,
        sum(size * _itemsize(w) for size, w in zip(sizes, weights, strict=True)),
    )


_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    BasisScalingConv,
    *_DEPTHWISE,
)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
# Weightless layers, and classes behind functions of `keras.ops` (which have no public
# name), that multiply tensors with each other.
_DARK_LAYERS = (
    keras.layers.Dot,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)
_DARK_OPERATIONS = re.compile(
    "matmul|dot|inner|outer|einsum|conv(?!ert)|correlate|attention|fft", re.IGNORECASE
)
# Layers whose weights may have several axes, yet are only looked up or multiplied
# element by element.
_LIGHT_LAYERS = (
    keras.layers.Embedding,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.RMSNormalization,
)


def call_flops(call) -> int | None:
    """2 x multiply-adds of one call, for one sample.

    Args:
        call: A `Call` of a `Trace`.

    Returns:
        The number, 0 for what only adds or selects, `None` if no rule knows it.

    Raises:
        ValueError: If sizes of the layer's output are unknown.
    """
    layer = call.op
    if not isinstance(layer, keras.layers.Layer):
        return None if _DARK_OPERATIONS.search(type(layer).__name__) else 0
    if isinstance(layer, keras.layers.TimeDistributed):
        layer = layer.layer
    at = call.output_tensors[0]
    if isinstance(layer, _TRANSPOSED):
        weights, width = math.prod(layer.kernel.shape), layer.kernel.shape[-1]
        at = call.input_tensors[0]
    elif isinstance(layer, _SEPARABLE):
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        weights, width = sum(math.prod(k.shape) for k in kernels), layer.filters
    elif isinstance(layer, _CONVOLUTIONS):
        shape = layer.kernel.shape
        weights = math.prod(shape)
        width = math.prod(shape[-2:]) if isinstance(layer, _DEPTHWISE) else shape[-1]
    else:
        return None if _is_dark(layer) else 0
    return 2 * weights * _positions(at.shape, width, layer)


def _is_dark(layer):
    """Whether a layer may multiply by weights or tensors in ways no rule knows."""
    if isinstance(layer, _LIGHT_LAYERS):
        return False
    heavy = any(len(weight.shape) > 1 for weight in layer.weights)
    return heavy or isinstance(layer, _DARK_LAYERS)


def _positions(shape, width, layer):
    """Positions at which the kernel is applied: all sizes but batch and channels."""
    if None in shape[1:]:
        raise ValueError(
            "Expected `model` to have a fixed input size to count FLOPs. Received: "
            f"shape={shape} at `{layer.name}`. Pass `input_shape`, the shape of one "
            "sample, for example `input_shape=(224, 224, 3)`."
        )
    return math.prod(shape[1:]) // width


def _itemsize(weight):
    bits = re.search(r"\d+", keras.backend.standardize_dtype(weight.dtype))
    return max(1, int(bits[0]) // 8) if bits else 1
