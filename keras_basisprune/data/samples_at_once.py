"""How many samples are computed together."""

import math

_VALUES = 128 * 96 * 96  # of the first axes of an input, in one batch
_LEAST, _MOST = 32, 128


def samples_at_once(model) -> int:
    """A batch size for running a model layer by layer.

    Larger batches have less overhead, but at large input sizes take much memory: 128 at
    96 x 96 and below, 32 at 192 x 192 and above, or where sizes are not known.

    Args:
        model: A `keras.Model` with inputs of shape `(batch, ..., channels)`.

    Returns:
        An integer in [32, 128].
    """
    sizes = [_positions(tensor.shape[1:]) for tensor in model.inputs]
    return max(_LEAST, min(_MOST, _VALUES // max(*sizes, 1)))


def _positions(shape) -> int:
    return _VALUES if None in shape else math.prod(shape) // min(shape, default=1)
