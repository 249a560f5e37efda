"""What LiteRT's integer kernels do with the scale of their inputs, by operation."""

import math

import keras
from keras import layers

from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.trace import is_from_keras
from keras_basisprune.layers import FixedFakeQuantize, QuantizedWeights

# The outputs are some of the inputs' numbers (or zero): they need no rounding.
_PASSES = (
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Flatten,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
)
_PASSING_FUNCTIONS = frozenset(
    """
    BroadcastTo ExpandDims Flip GetItem Identity MaxPool Moveaxis Ravel Repeat Reshape
    Roll Split Squeeze Swapaxes Take Tile Transpose
    """.split()
)
# The outputs are new numbers, at the scale of the input.
POOLINGS = (layers.AveragePooling1D, layers.AveragePooling2D)
_AVERAGES = (
    *POOLINGS,
    layers.Resizing,
    layers.UpSampling1D,
    layers.UpSampling2D,
)
# All inputs and the output have one scale.
_JOINS = (layers.Concatenate, layers.Maximum, layers.Minimum)
_JOINING_FUNCTIONS = frozenset("Concatenate Maximum Minimum Stack".split())
# A ReLU behind these is computed by the same operation.
_SUMS = (layers.Add, layers.Multiply, layers.Subtract)
_SUMMING_FUNCTIONS = frozenset("Add Multiply Subtract".split())
_RELUS = (keras.activations.relu, keras.activations.relu6)

# The ranges at which LiteRT's kernels give their results, at 8 bits.
_UNIT = (0.0, 255 / 256)
FIXED = {
    keras.activations.sigmoid: _UNIT,
    keras.activations.softmax: _UNIT,
    keras.activations.tanh: (-1.0, 127 / 128),
    keras.activations.log_softmax: (-255 / 16, 0.0),
}
_FIXED_FUNCTIONS = {
    "Sigmoid": _UNIT,
    "Softmax": _UNIT,
    "Tanh": (-1.0, 127 / 128),
    "LogSoftmax": (-255 / 16, 0.0),
}


def passes(op) -> bool:
    """Returns whether the outputs of an operation are some of its inputs' numbers."""
    if isinstance(op, layers.Layer):
        rule = rule_of(op)
        idle = rule is not None and rule.idle
        linear = getattr(op, "activation", None) is keras.activations.linear
        return (
            idle
            or type(op) in _PASSES
            or (type(op) is layers.Activation and linear)
            or (type(op) is layers.UpSampling2D and op.interpolation == "nearest")
            or type(op) is layers.UpSampling1D
        )
    return _function(op, _PASSING_FUNCTIONS)


def averages(op) -> bool:
    """Returns whether an operation computes new numbers at the scale of its input."""
    return type(op) in _AVERAGES and not passes(op)


def joins(op) -> bool:
    """Returns whether all inputs and outputs of an operation have the same scale."""
    return type(op) in _JOINS or _function(op, _JOINING_FUNCTIONS)


def fixed_range(op) -> tuple[float, float] | None:
    """Returns the range that an operation's outputs have in any file of 8 bits.

    Args:
        op: A layer or operation.

    Returns:
        A pair of numbers; `None` if the range depends on the values.
    """
    if isinstance(op, FixedFakeQuantize):
        return op.range()
    if type(op) is layers.Softmax:
        return _UNIT
    if type(op) is layers.Activation:
        return FIXED.get(op.activation)
    if not isinstance(op, layers.Layer) and is_from_keras(type(op)):
        return _FIXED_FUNCTIONS.get(type(op).__name__)
    return None


def takes_relu(op) -> bool:
    """Returns whether LiteRT applies a ReLU behind an operation together with it."""
    if QuantizedWeights.accepts(op):
        return op.activation is keras.activations.linear
    return type(op) in _SUMS or _function(op, _SUMMING_FUNCTIONS)


def operation(op) -> str | None:
    """Returns `"add"`, `"mean"` or `"multiply"`, or `None` for other operations."""
    if type(op) is layers.GlobalAveragePooling2D and op.data_format == "channels_last":
        return "mean"
    for kind in (layers.Add, layers.Multiply):
        if type(op) is kind or _function(op, frozenset([kind.__name__])):
            return kind.__name__.lower()
    return None


def is_relu(op) -> bool:
    """Returns whether an operation is a ReLU that LiteRT applies with another one."""
    if type(op) is layers.ReLU:
        plain = not op.negative_slope and not op.threshold
        return bool(plain) and op.max_value in (None, 6, math.inf)
    if type(op) is layers.Activation:
        return op.activation in _RELUS
    return _function(op, frozenset(["Relu", "Relu6"]))


def takes_activation(layer) -> bool:
    """Returns whether LiteRT applies the activation of a layer together with it."""
    return layer.activation in (keras.activations.linear, *_RELUS)


def _function(op, names) -> bool:
    named = not isinstance(op, layers.Layer) and is_from_keras(type(op))
    return named and type(op).__name__ in names
