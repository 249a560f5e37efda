"""FLOPs of one call of a layer or operation."""

from keras_basisprune.graph.rules import Shapes, known


def call_flops(call, shapes=None) -> int | None:
    """Returns 2 x multiply-adds of one call, for one sample.

    Args:
        call: A `Call` of a `Trace`.
        shapes: The `Shapes` to count for. Defaults to those of the call.

    Returns:
        The number, 0 for operations that only add or select, `None` if it isn't known:
        there is no rule for the layer, or the length of a sequence that a recurrent
        layer or attention reads is unknown.

    Raises:
        ValueError: If sizes of the output of a convolution or dense layer are unknown.
    """
    return known(call.op, "flops", call, shapes or Shapes.from_call(call))
