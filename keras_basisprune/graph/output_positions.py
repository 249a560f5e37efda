"""The size of a layer's output map."""

import math


def output_positions(layer, shape) -> int:
    """Returns the number of positions in a layer's output map.

    Args:
        layer: A convolution or dense layer.
        shape: Shape of its input, the batch axis included. It may differ from batch to
            batch, if the model takes images of any size.

    Returns:
        An integer, 1 for a dense layer's vectors.
    """
    made = layer.compute_output_shape(tuple(shape))
    first = getattr(layer, "data_format", "") == "channels_first"
    return math.prod(made[2:] if first else made[1:-1])
