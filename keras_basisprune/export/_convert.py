"""Keras' LiteRT export, with the converter's settings for each quantization."""

import dataclasses
import re

import numpy as np

_NEEDS_TF_OPS = "ERROR_NEEDS_FLEX_OPS"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a conversion.

    Attributes:
        quantization: `"float32"`, `"float16"`, `"dynamic"` or `"int8"`.
        data: A list of arrays, one per input, to calibrate `"int8"` on; `None` for a
            model that states its ranges.
        integer_io: Whether an int8 file has int8 inputs and outputs.
        bits: Bits of activations, 8 or 16.
        allow_tf_ops: Whether TensorFlow's own operations may be used where LiteRT has
            none.
        signature: The specifications of the inputs, structured as the model's inputs.
    """

    quantization: str
    data: list | None
    integer_io: bool
    allow_tf_ops: bool
    signature: object
    bits: int = 8


def convert(model, path, specs, settings):
    """Writes `model` to `path` through `model.export(format="litert")`.

    Args:
        model: The plain float32 `keras.Model`.
        path: Where to write.
        specs: The list of `keras.InputSpec` of its inputs.
        settings: The `Settings`.

    Raises:
        ValueError: If the converter refuses the model.
    """
    import tensorflow as tf

    options = _options(specs, settings)
    try:
        _export(model, path, settings, options)
    except Exception as error:  # the converter's own class has no public name
        if not settings.allow_tf_ops or _NEEDS_TF_OPS not in str(error):
            raise ValueError(_refusal(model, settings, error)) from error
        options["target_spec"]["supported_ops"].append(tf.lite.OpsSet.SELECT_TF_OPS)
        _export(model, path, settings, options)


def _options(specs, settings):
    """Returns the settings of `tf.lite.TFLiteConverter`."""
    import tensorflow as tf

    sets = tf.lite.OpsSet
    options = {"target_spec": {"supported_ops": [sets.TFLITE_BUILTINS]}}
    if settings.quantization == "float32":
        return options
    options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if settings.quantization == "float16":
        options["target_spec"]["supported_types"] = [tf.float16]
    if settings.quantization == "int8":
        if settings.data is not None:
            options["target_spec"]["supported_ops"] = [sets.TFLITE_BUILTINS_INT8]
            options["representative_dataset"] = lambda: _batches(specs, settings.data)
        if settings.integer_io:
            whole = tf.int8 if settings.bits == 8 else tf.int16
            options["inference_input_type"] = whole
            options["inference_output_type"] = whole
    return options


def _export(model, path, settings, options):
    """Calls Keras' exporter."""
    model.export(
        str(path),
        format="litert",
        verbose=False,
        input_signature=[settings.signature],
        **options,
    )


def _batches(specs, data):
    """Yields calibration batches of the file's batch size."""
    size = specs[0].shape[0] or 1
    for start in range(0, len(data[0]), size):
        rows = np.arange(start, start + size) % len(data[0])
        yield {spec.name: array[rows] for spec, array in zip(specs, data, strict=True)}


def _refusal(model, settings, error):
    """Explains in a few lines what the converter reports in hundreds."""
    text = str(error)
    named = sorted(set(re.findall(r"(?:TF Select|Flex|Custom) ops: ([^\n]+)", text)))
    reason = f"it needs {', '.join(named)}" if named else text.strip()[:300]
    message = (
        "Expected `model` to consist of operations that LiteRT has built in for "
        f"quantization={settings.quantization!r}. Received: model={model.name!r}, "
        f"refused by the converter: {reason}. "
    )
    if named and _NEEDS_TF_OPS in text:
        return message + (
            "Replace these operations, or pass tolerance=None to write the file "
            "unchecked for an app that links LiteRT's Flex delegate."
        )
    return message + "Replace these operations, or choose another `quantization`."
