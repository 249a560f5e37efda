"""Parameters, FLOPs and bytes of a model, layer by layer."""

import dataclasses
import math

import keras

from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.trace import trace


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What one layer costs.

    Attributes:
        name: The layer's name in the flattened model.
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
        flops: 2 x multiply-adds of all convolutions and matrix products, one sample.
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


def cost(model, input_shape=None) -> Cost:
    """Counts parameters, FLOPs and bytes.

    FLOPs are 2 x multiply-adds of convolutions (grouped, depthwise, separable and
    transposed ones too), dense layers and this package's layers, for a batch of one.
    Biases, activations, normalization and pooling are left out, as is usual: they are
    some percent. Time is linear in the number of calls; no weight is read.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        input_shape: Shape of one sample, for a model whose input sizes are `None`.

    Returns:
        A `Cost`.

    Raises:
        ValueError: If the model can't be read, or sizes of its input are unknown.

    Example:

    >>> model = keras.applications.MobileNet(weights=None)
    >>> keras_basisprune.cost(model).params
    4253864
    """
    traced = trace(model, input_shape)
    found: dict[int, LayerCost] = {}
    uncounted: dict[str, None] = {}
    for call in traced.calls:
        layer = call.op
        flops = _flops(call)
        if flops is None:
            flops = 0
            uncounted[layer.name] = None
        if id(layer) in found:
            known = found[id(layer)]
            found[id(layer)] = dataclasses.replace(known, flops=known.flops + flops)
        elif flops or getattr(layer, "weights", ()):
            found[id(layer)] = LayerCost(
                layer.name,
                type(layer).__name__,
                sum(math.prod(w.shape) for w in layer.weights),
                flops,
                sum(math.prod(w.shape) * _itemsize(w) for w in layer.weights),
            )
    layers = tuple(found.values())
    return Cost(
        sum(layer.params for layer in layers),
        sum(layer.flops for layer in layers),
        sum(layer.bytes for layer in layers),
        layers,
        tuple(uncounted),
    )


_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Dense,
    BasisScalingConv,
)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_MATRIX_OPERATIONS = ("matmul", "dot", "einsum", "tensordot")


def _flops(call):
    """FLOPs of a call, `None` if they are not known."""
    layer = call.op
    if not isinstance(layer, keras.layers.Layer):
        return None if type(layer).__name__.lower() in _MATRIX_OPERATIONS else 0
    if isinstance(layer, _TRANSPOSED):
        inputs = call.input_tensors[0].shape
        return 2 * math.prod(layer.kernel.shape) * _positions(
            inputs, layer.kernel.shape[-1], layer
        )
    if isinstance(layer, _SEPARABLE):
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        weights, width = sum(math.prod(k.shape) for k in kernels), layer.filters
    elif isinstance(layer, _CONVOLUTIONS):
        shape = layer.kernel.shape
        weights, width = math.prod(shape), shape[-1]
        if isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D):
            width = shape[-1] * shape[-2]
    else:
        dark = any(len(weight.shape) > 1 for weight in layer.weights)
        return None if dark or isinstance(layer, keras.layers.Dot) else 0
    return 2 * weights * _positions(call.output_tensors[0].shape, width, layer)


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
    bits = "".join(c for c in keras.backend.standardize_dtype(weight.dtype) if c.isdigit())
    return int(bits) // 8 if bits else 1
