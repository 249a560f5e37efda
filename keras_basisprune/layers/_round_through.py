"""Rounds values to a grid, with gradients that pass as if they were not rounded."""

from keras import ops

from keras_basisprune.layers._few_digits import few_digits

_SMALLEST = 1e-12  # scale
_MANY = 2**12  # steps; with more, products with few digits are not exact either
TIE = 1e-3  # of a step: what is this close to halfway is meant to be halfway


def scale_of(low, high, steps):
    """Returns the distance of two neighbouring numbers between two bounds.

    Args:
        low: Tensor, the lower bound.
        high: Tensor, the upper bound.
        steps: Number of steps between them.

    Returns:
        A tensor; at 8 bits, of numbers with few binary digits.
    """
    scale = ops.maximum((high - low) / steps, _SMALLEST)
    return few_digits(scale) if steps < _MANY else scale


def round_through(values, low, high, steps, symmetric=False, away=False):
    """Rounds values to `steps + 1` numbers between two bounds, zero among them.

    Gradients are those of learned step size quantization (Esser et al. 2020,
    arXiv:1902.08153): values within the bounds pass theirs on, those outside pass them
    to the bound, and rounding errors reach both bounds.

    Args:
        values: Tensor of floats.
        low: Tensor, the lower bound, at most 0, of a shape that fits `values`.
        high: Tensor, the upper bound, at least 0.
        steps: Number of steps between the bounds.
        symmetric: Whether zero is in the middle, as with `low = -high`.
        away: Whether values halfway between two signed integers go to the one that is
            farther from zero, instead of to the larger one.

    Returns:
        A tensor like `values`.
    """
    scale = scale_of(low, high, steps)
    zero = float((steps + 1) // 2) if symmetric else ops.round(-low / scale)
    # The bounds move so that zero is one of the numbers, but not for the gradients.
    low = low + ops.stop_gradient(-zero * scale - low)
    high = high + ops.stop_gradient((steps - zero) * scale - high)
    step = (high - low) / steps
    step = step + ops.stop_gradient(scale - step)
    clipped = ops.minimum(ops.maximum(values, low), high)
    place = (clipped - low) / step
    nearest = ops.floor(place + 0.5)
    if away:
        down = ops.ceil(place - 0.5 - TIE)
        up = ops.floor(place + 0.5 + TIE)
        nearest = ops.where(place < (steps + 1) / 2, down, up)
    rounded = low + (place + ops.stop_gradient(nearest - place)) * step
    return rounded + ops.stop_gradient((nearest - zero) * scale - rounded)
