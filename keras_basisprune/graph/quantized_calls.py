"""Calls of layers that round, for models without them."""

from keras_basisprune.layers import FakeQuantize, QuantizedWeights

_OF_WEIGHTS = ("input_scale", "output_scale")
_OF_ACTIVATIONS = ("addends", "addend_scales")


def plain_arguments(call):
    """Returns a call's args and kwargs, without those that only say how to round."""
    kwargs = call.kwargs
    left_out: tuple[str, ...] = ()
    if isinstance(call.op, QuantizedWeights):
        left_out = _OF_WEIGHTS
    elif isinstance(call.op, FakeQuantize):
        left_out = _OF_ACTIVATIONS
    return call.args, {key: kwargs[key] for key in kwargs if key not in left_out}
