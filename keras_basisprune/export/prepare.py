"""Brings a model into the form that exporters need: plain, float32, flat outputs."""

import keras

from keras_basisprune.export._walk import walk
from keras_basisprune.export.dequantized import dequantized
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import check_model
from keras_basisprune.layers import FixedFakeQuantize, QuantizedActivation, StaysFloat

_LOW = {"float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"}
_READ_BY_THE_CONVERTER = (FixedFakeQuantize, QuantizedActivation, StaysFloat)
_DTYPE_KEYS = ("dtype", "default_policy", "source_name")


def prepare(model, float32):
    """Checks that `model` can be exported and returns it in the form to export.

    Args:
        model: A Functional or built Sequential `keras.Model`.
        float32: Whether layers of another precision are rebuilt in float32.

    Returns:
        `model` itself, or a new model with the same weights if layers had to be
        rebuilt in float32, or one that shares its layers if nested outputs had to be
        laid out as a list. `model` is not changed.

    Raises:
        ValueError: If `model` is not a Functional or built Sequential model, or if it
            holds layers of this package or such as `dequantized` refuses.
    """
    check_model("model", model, readable=not getattr(model, "inputs", None))
    check_finite_weights(model)
    model = dequantized(model)
    layers = list(walk(model))
    training_only = [
        layer.name
        for layer in layers
        if type(layer).__module__.split(".")[0] == "keras_basisprune"
        and not isinstance(layer, _READ_BY_THE_CONVERTER)
    ]
    if training_only:
        raise ValueError(
            "Expected `model` to hold layers of Keras only. Received: model="
            f"{model.name!r} with the training-only layers {training_only}. Call "
            "`keras_basisprune.fold(model)` first and export what it returns."
        )
    if float32 and low_precision(model):
        model = _in_float32(model)
    return _with_flat_outputs(model)


def low_precision(model):
    """Returns whether an input or layer has a float dtype besides float32."""
    return any(tensor.dtype in _LOW for tensor in model.inputs) or any(
        {layer.compute_dtype, layer.variable_dtype} & _LOW for layer in walk(model)
    )


def check_quantisable(model):
    """Raises a `ValueError` for a model that crashes TensorFlow's calibration.

    Calibrating a loop (seen with TensorFlow 2.21: every recurrent layer that is not
    unrolled) ends the process with a segmentation fault.
    """
    looped = [
        layer.name
        for layer in walk(model)
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    if looped:
        raise ValueError(
            "Expected `model` to hold no loops for quantization='int8'. Received: "
            f"model={model.name!r} with the recurrent layers {looped}. Build them "
            "with unroll=True, or choose quantization='dynamic'."
        )


def _in_float32(model):
    """Returns a copy of `model` that holds the same weights in float32."""
    try:
        copy = type(model).from_config(_float32_config(model.get_config()))
        copy.set_weights(model.get_weights())
    except Exception as error:
        raise ValueError(
            "Expected `model` to compute in float32, or to be rebuildable in float32 "
            "from its config, because LiteRT's kernels compute in float32. Received: "
            f"model={model.name!r} with layers of another dtype policy, and "
            f"rebuilding it failed with: {error} Build the model with "
            "dtype='float32' and copy the weights with `set_weights(get_weights())`."
        ) from error
    return copy


def _float32_config(config, key=None):
    """Returns `config` with each low-precision dtype or policy set to float32."""
    if isinstance(config, dict):
        if str(config.get("class_name", "")).endswith("DTypePolicy"):
            if config["config"].get("name") in _LOW:
                return {**config, "config": {**config["config"], "name": "float32"}}
        return {name: _float32_config(value, name) for name, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_float32_config(value, key) for value in config)
    return "float32" if key in _DTYPE_KEYS and config in _LOW else config


def _with_flat_outputs(model):
    """Returns `model`, its outputs as a list if they are nested more than once.

    TensorFlow's signatures only support a tensor, or a list or dict of tensors.
    """
    outputs = () if isinstance(model, keras.Sequential) else model.output
    values = outputs.values() if isinstance(outputs, dict) else outputs
    if not isinstance(outputs, (dict, list, tuple)):
        return model
    if not any(isinstance(value, (dict, list, tuple)) for value in values):
        return model
    return keras.Model(model.input, keras.tree.flatten(outputs), name=model.name)
