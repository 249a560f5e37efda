"""Takes the rounding of quantization-aware training out of a model."""

import keras
import numpy as np

from keras_basisprune.graph.quantized_calls import plain_arguments
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.whole_calls import whole_calls
from keras_basisprune.layers import (
    FakeQuantize,
    FixedFakeQuantize,
    QuantizedActivation,
    QuantizedWeights,
    StaysFloat,
)

_ROUNDING = (FakeQuantize, FixedFakeQuantize, StaysFloat)


def without_rounding(model: keras.Model) -> keras.Model:
    """Turns what `quantize_aware` returned into a model of Keras' own layers.

    Weights keep the values that they were trained to, before rounding.

    Args:
        model: A Functional or Sequential model.

    Returns:
        A new Functional `keras.Model`; the model itself if nothing in it rounds.
    """
    traced = trace(model)
    kinds = (*_ROUNDING, QuantizedActivation, QuantizedWeights)
    if not any(isinstance(call.op, kinds) for call in traced.calls):
        return model
    calls = whole_calls(traced)

    def replace(layer, name):
        if isinstance(layer, _ROUNDING):
            if keras.backend.is_float_dtype(calls[id(layer)].input_tensors[0].dtype):
                return []
            return [NewLayer(keras.layers.Rescaling(1.0, name=name))]
        if isinstance(layer, QuantizedActivation):
            given = {"dtype": layer.dtype_policy, "name": name}
            return [NewLayer(keras.layers.Activation(layer.activation, **given))]
        if isinstance(layer, QuantizedWeights):
            inner = layer.layer
            names = ("kernel", "bias") if inner.use_bias else ("kernel",)
            weights = {key: _array(getattr(inner, key)) for key in names}
            return [NewLayer(clone(inner, name), weights)]
        return None

    return rewrite(model, replace, traced, plain_arguments)


def _array(value) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(value))
