"""Calls of layers that round, for models without them."""

from keras_basisprune.layers import (
    FakeQuantize,
    QuantizedActivation,
    QuantizedWeights,
)

_SCALES = ("input_scale", "output_scale")
_OPERATION = ("operation", "operands", "operand_scales")


def plain_arguments(call):
    """Returns a call's args and kwargs, without those that only say how to round."""
    kwargs = call.kwargs
    left_out: tuple[str, ...] = ()
    if isinstance(call.op, QuantizedActivation | QuantizedWeights):
        left_out = _SCALES
    elif isinstance(call.op, FakeQuantize):
        left_out = _OPERATION
    return call.args, {key: kwargs[key] for key in kwargs if key not in left_out}
