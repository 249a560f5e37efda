"""How large a layer's output map is."""

import math


def output_positions(layer, shape) -> int:
    """Number of positions in the map that a layer makes.

    Args:
        layer: A convolution or dense layer.
        shape: Shape of its input, the batch axis included. Every batch has its own,
            if the model takes images of any size.

    Returns:
        An integer, 1 for a dense layer's vectors.
    """
    made = layer.compute_output_shape(tuple(shape))
    first = getattr(layer, "data_format", "") == "channels_first"
    return math.prod(made[2:] if first else made[1:-1])
