"""The calls that show all channels which a layer has."""

from keras_basisprune.graph.trace import Call, Trace
from keras_basisprune.layers import JoinedMasks


def whole_calls(traced: Trace) -> dict[int, Call]:
    """Maps the `id` of each operation to the first call on all of its channels.

    That is its first call, except for `layers.JoinedMasks`, which is called on some of
    its parts too.
    """
    found: dict[int, Call] = {}
    parts: dict[int, Call] = {}
    for call in traced.calls:
        part = isinstance(call.op, JoinedMasks) and call.kwargs.get("parts") is not None
        (parts if part else found).setdefault(id(call.op), call)
    return {**parts, **found}
