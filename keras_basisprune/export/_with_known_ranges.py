"""A quantization-aware network in the form that LiteRT's converter reads."""

import keras
import numpy as np

from keras_basisprune.graph.quantized_calls import plain_arguments
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import FakeQuantize, FixedFakeQuantize, QuantizedWeights


def bits_of(model) -> tuple[int, int]:
    """Returns the fewest bits of weights, and the bits of activations."""
    weights = [x.bits for x in model.layers if isinstance(x, QuantizedWeights)]
    kinds = FakeQuantize | FixedFakeQuantize
    found = [x.bits for x in model.layers if isinstance(x, kinds)]
    return min(weights, default=8), max(found)


def with_known_ranges(model) -> keras.Model:
    """Turns trained ranges into constants, and rounds weights and biases for good.

    The converter reads ranges of activations only if they are constants, and finds
    those of rounded weights by itself.

    Args:
        model: What `quantize_aware` returned, trained.

    Returns:
        A Functional `keras.Model` with the same outputs.
    """
    traced = trace(model)
    scales = _input_scales(traced)

    def replace(layer, name):
        if isinstance(layer, FakeQuantize):
            low, high = layer.range()
            given = {"bits": layer.bits, "dtype": layer.dtype_policy, "name": name}
            return [NewLayer(FixedFakeQuantize(low, high, **given))]
        if isinstance(layer, FixedFakeQuantize):
            return [NewLayer(clone(layer, name, ties_up=False))]
        if not isinstance(layer, QuantizedWeights):
            return None
        inner = layer.layer
        weights = {"kernel": _array(layer.rounded())}
        if inner.use_bias:
            scale = scales.get(id(layer))
            bias = inner.bias if scale is None else layer.rounded_bias(scale)
            weights["bias"] = _array(bias)
        return [NewLayer(clone(inner, name), weights)]

    return rewrite(model, replace, traced, plain_arguments)


def _input_scales(traced) -> dict[int, float]:
    """Maps the `id` of each layer with a rounded kernel to the scale of its inputs."""
    made_by = traced.producers()
    return {
        id(call.op): made_by[id(call.kwargs["input_scale"])].op.scale
        for call in traced.calls
        if isinstance(call.op, QuantizedWeights)
        if call.kwargs.get("input_scale") is not None
    }


def _array(value) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(value))
