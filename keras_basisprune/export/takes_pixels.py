"""Finds inputs that take pixels as images store them."""

import keras
import numpy as np

from keras_basisprune.graph.trace import trace

_LARGE, _SMALL = 10.0, 0.1  # of what pixels of 0 to 255 are shifted by, and scaled by
# What only moves pixels.
_MOVING = ("GetItem", "Stack", "Concatenate", "Cast", "Identity", "Resizing", "Flip")
_MOVING += ("Reshape", "ZeroPadding2D", "CenterCrop", "Cropping2D")


def takes_pixels(model) -> set[str]:
    """Finds the inputs whose values a model normalizes first.

    These are divided by 127.5 or 255, say (`keras.layers.Rescaling`), or shifted by the
    mean of such pixels. So they take values in [0, 255].

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        The set of the names of these inputs.
    """
    read = trace(model)
    consumers = read.consumers()
    inputs = keras.tree.flatten(read.inputs)
    pairs = zip(read.input_layers, inputs, strict=True)
    return {layer.name for layer, tensor in pairs if _is_scaled(tensor, consumers)}


def _is_scaled(tensor, consumers) -> bool:
    calls = consumers.get(id(tensor), [])
    return bool(calls) and all(_scales(call, consumers) for call in calls)


def _scales(call, consumers) -> bool:
    op, name = call.op, type(call.op).__name__
    if name == "Rescaling":
        return _size(op.scale) <= _SMALL
    if name == "Normalization":
        return _size(getattr(op, "mean", None)) >= _LARGE
    if name in _MOVING:
        return all(_is_scaled(tensor, consumers) for tensor in call.output_tensors)
    size = max(map(_size, (*call.args, *call.kwargs.values())), default=0.0)
    if name in ("TrueDivide", "Divide", "Subtract", "Add"):
        return size >= _LARGE
    return name == "Multiply" and 0 < size <= _SMALL


def _size(value) -> float:
    """Returns the mean absolute value of a constant; 0 of anything else."""
    if value is None or isinstance(value, keras.KerasTensor | str | bool):
        return 0.0
    try:
        numbers = np.asarray(keras.ops.convert_to_numpy(value), "float64")
    except (TypeError, ValueError):
        return 0.0
    return float(np.mean(np.abs(numbers))) if numbers.size else 0.0
