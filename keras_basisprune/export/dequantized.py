"""Layers that `keras.Model.quantize` has changed, in float again."""

import keras
import numpy as np

from keras_basisprune.export._walk import walk

# The weights that are integers, by class; their scales have the same name and `_scale`.
_WEIGHTS = {keras.layers.Dense: "kernel", keras.layers.Embedding: "embeddings"}


def quantized_layers(model) -> list:
    """Returns the layers that `keras.Model.quantize` has changed."""
    return [x for x in walk(model) if x.dtype_policy.quantization_mode is not None]


def dequantized(model):
    """Returns a model with the values of the integers that Keras has made.

    The integers of `"int8"`, divided by their scale for each channel, are float32
    numbers that LiteRT's `"dynamic"` and `"int8"` turn into the same integers. Keras
    also rounds the inputs of these layers, by a scale for each sample; this is lost.

    Args:
        model: A Functional or Sequential `keras.Model`.

    Returns:
        The model itself if nothing is quantized, or a copy.

    Raises:
        ValueError: If layers are quantized otherwise than to `"int8"`, or of other
            classes than `Dense` and `Embedding`.
    """
    changed = quantized_layers(model)
    if not changed:
        return model
    others = [layer for layer in changed if not _is_known(layer)]
    if others:
        modes = sorted({layer.dtype_policy.quantization_mode for layer in others})
        raise ValueError(
            "Expected `model` to hold no layers that `keras.Model.quantize` has changed"
            " but Dense and Embedding in 'int8'. Received: model="
            f"{model.name!r} with the layers {[layer.name for layer in others]}, "
            f"quantized to {modes}. Export the model from before `quantize`: "
            "`export_tflite` stores integer weights itself with "
            "quantization='dynamic' or 'int8'."
        )
    copy = type(model).from_config(_float_config(model.get_config()))
    for old, new in zip(walk(model), walk(copy), strict=True):
        if old.dtype_policy.quantization_mode is not None:
            new.set_weights(_float_weights(old))
        elif old.weights and not getattr(old, "layers", None):
            new.set_weights(old.get_weights())
    return copy


def _is_known(layer) -> bool:
    mode = layer.dtype_policy.quantization_mode
    return mode == "int8" and type(layer) in _WEIGHTS


def _float_weights(layer) -> list[np.ndarray]:
    """Returns the weights of the layer as it was, in the order of `set_weights`."""
    name = _WEIGHTS[type(layer)]
    held = {w.name: keras.ops.convert_to_numpy(w) for w in layer.weights}
    scale = held[f"{name}_scale"].astype(np.float32)
    if name == "embeddings":
        scale = scale.reshape(-1, 1)  # one for each row
    values = held[name].astype(np.float32) / scale
    return [values, held["bias"]] if "bias" in held else [values]


def _float_config(config):
    """Returns a config with each quantized policy replaced by the one before."""
    if isinstance(config, dict):
        if config.get("class_name") == "QuantizedDTypePolicy":
            return config["config"]["source_name"]
        return {
            name: _float_config(value)
            for name, value in config.items()
            if name != "quantization_config"
        }
    if isinstance(config, list | tuple):
        return type(config)(map(_float_config, config))
    return config
