"""The convolutions of a model."""

from keras_basisprune.graph.rules import known
from keras_basisprune.graph.trace import Call, Trace


def convolutions(traced: Trace) -> list[Call]:
    """The calls of layers that have filters and make maps, sequences or volumes."""
    return [
        call
        for call in traced.calls
        if len(call.output_tensors[0].shape) > 2
        and known(call.op, "filters", call.op) is not None
    ]
