"""The batch size for running a model layer by layer."""

import math

_VALUES = 128 * 96 * 96  # positions per batch, over all axes but the channels
_LEAST, _MOST = 32, 128


def samples_at_once(model) -> int:
    """Returns a batch size for running a model layer by layer.

    Larger batches have less overhead, but need much memory at large input sizes: 128 up
    to 96 x 96 pixels, 32 from 192 x 192 pixels on or if a size is unknown.

    Args:
        model: A `keras.Model` with inputs of shape `(batch, ..., channels)`.

    Returns:
        An integer in [32, 128].
    """
    sizes = [_positions(tensor.shape[1:]) for tensor in model.inputs]
    return max(_LEAST, min(_MOST, _VALUES // max(*sizes, 1)))


def _positions(shape) -> int:
    return _VALUES if None in shape else math.prod(shape) // min(shape, default=1)
