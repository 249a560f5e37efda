"""Calls of layers that round, for models without them."""

from keras_basisprune.layers import QuantizedWeights


def plain_arguments(call):
    """Returns a call's args and kwargs, without those that only say how to round."""
    kwargs = call.kwargs
    if isinstance(call.op, QuantizedWeights):
        kwargs = {key: kwargs[key] for key in kwargs if key != "input_scale"}
    return call.args, kwargs
