"""Sums, products and means of rounded tensors, as LiteRT computes them."""

import math

from keras import ops

_BITS = 20  # of a multiplier, behind its first


def integer_sum(addends, scales, scale):
    """Adds two rounded tensors in integers.

    LiteRT's default runtime (XNNPACK) multiplies each integer by its scale over that
    of the sum, rounded to 21 binary digits, adds these in 32 bits, and shifts the sum;
    what is halfway becomes the larger integer.

    Args:
        addends: A list of two tensors of floats, integers times their scales.
        scales: A list of two tensors of shape `()`, their scales.
        scale: A tensor of shape `()`, the scale of the sum.

    Returns:
        A tensor of float32, integers times `scale`, not clipped.
    """
    factors = [one / scale for one in scales]
    largest = ops.maximum(*factors)
    digits = _BITS - ops.cast(ops.floor(ops.log2(largest)), "int32")
    digits = ops.clip(digits, 1, 30)
    one = ops.ones_like(digits)
    unit = ops.left_shift(one, digits)
    total = ops.left_shift(one, digits - 1)
    for values, own, factor in zip(addends, scales, factors, strict=True):
        places = ops.cast(whole(ops.cast(values, "float32") / own), "int32")
        factor = ops.round(factor * ops.cast(unit, "float32"))
        total = total + places * ops.cast(factor, "int32")
    return ops.cast(ops.right_shift(total, digits), "float32") * scale


def integer_product(values, scales, scale):
    """Multiplies two rounded tensors in integers; halfway becomes the even one.

    Args:
        values: A list of two tensors of floats, integers times their scales.
        scales: A list of two tensors of shape `()`, their scales.
        scale: A tensor of shape `()`, the scale of the product.

    Returns:
        A tensor of float32, integers times `scale`, not clipped. Gradients pass.
    """
    first, second = (
        whole(ops.cast(one, "float32") / own)
        for one, own in zip(values, scales, strict=True)
    )
    factor = scales[0] * scales[1] / scale
    return whole(first * second * factor) * scale


def integer_mean(values, scales, scale):
    """Averages images over their positions in integers; halfway becomes the even one.

    Args:
        values: A list of one tensor of shape `(batch, height, width, channels)`.
        scales: A list of its scale, a tensor of shape `()`.
        scale: A tensor of shape `()`, the scale of the mean.

    Returns:
        A tensor of shape `(batch, 1, 1, channels)`, float32.
    """
    places = whole(ops.cast(values[0], "float32") / scales[0])
    total = ops.sum(places, axis=(1, 2), keepdims=True)
    positions = ops.cast(math.prod(values[0].shape[1:3]), "float32")
    return whole(total * (scales[0] / scale / positions)) * scale


def whole(values):
    """Rounds to whole numbers; halfway to even ones. Gradients pass."""
    return values + ops.stop_gradient(ops.round(values) - values)
