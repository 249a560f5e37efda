"""Predicts the time of a model as the sum of its layers' times."""

from keras_basisprune.graph.rules import defines, rule_of
from keras_basisprune.graph.trace import trace
from keras_basisprune.surgery import fold


def predicted_latency(model, table) -> float:
    """Adds up the times of the convolutions and dense layers of a model.

    The model is folded first (`fold`), since that form will run. Other layers (separate
    activations, pooling, sums) are not counted, as their time hardly depends on how
    channel counts are rounded: the sum says which of two models is faster, rather than
    how long one takes. This needs a copy of the model, and about a second for each kind
    and size of layer that is not in the table yet.

    Args:
        model: A Functional or Sequential `keras.Model` with known input sizes.
        table: A `LatencyTable`.

    Returns:
        Milliseconds. A layer that is called several times is counted for each call.

    Raises:
        ValueError: If the model can't be read, or sizes of its input are unknown.

    Example:

    >>> table = LatencyTable("latency.json")
    >>> faster = predicted_latency(model, table) / predicted_latency(small, table)
    """
    return sum(
        table.milliseconds(call.op, tuple(call.input_tensors[0].shape[1:]))
        for call in trace(fold(model)).calls
        if defines(rule_of(call.op), "fold")  # a convolution or dense layer
    )
