"""Corrects biases for the mean of what rounding changes."""

import keras
import numpy as np

from keras_basisprune.layers import QuantizedWeights

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_OTHERS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Dense)


def inputs_of(traced) -> dict[str, int]:
    """Returns the `id` of the input of each layer whose bias can be corrected."""
    found = {}
    for call in traced.calls:
        layer = call.op
        if type(layer) not in (*_DEPTHWISE, *_OTHERS) or not layer.use_bias:
            continue
        last = getattr(layer, "data_format", "channels_last") == "channels_last"
        if last and getattr(layer, "groups", 1) == 1:
            found.setdefault(layer.name, id(call.input_tensors[0]))
    return found


def correct_biases(network, means):
    """Adds to each bias what the rounded kernel lacks of the mean output.

    Source: Nagel et al. 2019, *Data-Free Quantization Through Weight Equalization and
    Bias Correction* (arXiv:1906.04721), section 4.2; here with means of real inputs.

    Args:
        network: The `keras.Model` that rounds, changed in place.
        means: Maps names of layers to the mean of each channel of their inputs.
    """
    for layer in network.layers:
        if not isinstance(layer, QuantizedWeights) or layer.name not in means:
            continue
        inner, mean = layer.layer, means[layer.name]
        kernel, rounded = (
            keras.ops.convert_to_numpy(value).astype(np.float64)
            for value in (inner.kernel, layer.rounded())
        )
        lacking = kernel - rounded
        taps = lacking.reshape(-1, *lacking.shape[-2:]).sum(0)
        if isinstance(inner, _DEPTHWISE):
            change = (taps * mean[:, None]).ravel()
        else:
            change = mean @ taps
        inner.bias.assign(keras.ops.convert_to_numpy(inner.bias) + change)
