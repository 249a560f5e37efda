"""A quantization-aware network in the form that LiteRT's converter reads."""

import keras
import numpy as np

from keras_basisprune.graph.quantized_calls import plain_arguments
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.layers import FakeQuantize, FixedFakeQuantize, QuantizedWeights


def bits_of(model) -> tuple[int, int]:
    """Returns the fewest bits of weights, and the bits of activations."""
    weights = [x.bits for x in model.layers if isinstance(x, QuantizedWeights)]
    kinds = FakeQuantize | FixedFakeQuantize
    found = [x.bits for x in model.layers if isinstance(x, kinds)]
    return min(weights, default=8), max(found)


def with_known_ranges(model) -> keras.Model:
    """Turns trained ranges into constants, and rounds the weights for good.

    The converter reads ranges of activations only if they are constants, and finds
    those of rounded weights by itself.

    Args:
        model: What `quantize_aware` returned, trained.

    Returns:
        A Functional `keras.Model` with the same outputs.
    """

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
            weights["bias"] = _array(inner.bias)
        return [NewLayer(clone(inner, name), weights)]

    return rewrite(model, replace, arguments=plain_arguments)


def _array(value) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(value))
