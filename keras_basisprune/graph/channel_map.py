"""The channels of every tensor of a model, and which of them are tied together."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.rules.flow import Channels, Flow, KeptChannels
from keras_basisprune.graph.rules.registry import rule_of
from keras_basisprune.graph.rules.unknown_weights import unknown_weights
from keras_basisprune.graph.trace import Trace
from keras_basisprune.linalg import components


@dataclasses.dataclass(frozen=True)
class ChannelMap:
    """The result of `channel_map`.

    Attributes:
        groups: Integer array: the group of each channel identity.
        pinned: Maps numbers of groups that must be kept to the reason.
        mixing: Names of layers that compute statistics across channels.
        tensors: Maps `id(tensor)` to its `Channels`, if it has some.
    """

    groups: np.ndarray
    pinned: dict[int, str]
    mixing: tuple[str, ...]
    tensors: dict[int, Channels]

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.groups.max(initial=-1)) + 1

    def of(self, tensor) -> np.ndarray | None:
        """Returns the group of each channel of a tensor; `None` without channels."""
        channels = self.tensors.get(id(tensor))
        return None if channels is None else self.groups[channels.ids]

    def kept(self, tensor, alive) -> KeptChannels | None:
        """Returns the channels of a tensor that are in kept (`alive`) groups."""
        channels = self.tensors.get(id(tensor))
        if channels is None:
            return None
        indices = np.flatnonzero(alive[self.groups[channels.ids]])
        return KeptChannels(indices, len(channels), channels.axis, len(tensor.shape))


def channel_map(traced: Trace) -> ChannelMap:
    """Follows every channel through a model.

    Each layer's rule states the output channels. Layers without a rule pin all channels
    that they read or output, as inputs and outputs of the model do. Time and memory
    are linear in the number of calls and channels.

    Args:
        traced: The model's `Trace`.

    Returns:
        A `ChannelMap`.
    """
    flow, tensors, first = Flow(_stated_axes(traced)), {}, {}
    for tensor in keras.tree.flatten(traced.inputs):
        tensors[id(tensor)] = flow.pinned(tensor, "input of the model")
    for call in traced.calls:
        flow.call = call
        inputs = [tensors.get(id(t)) for t in call.input_tensors]
        outputs = _through(call, inputs, flow)
        for tensor, channels in zip(call.output_tensors, outputs, strict=True):
            tensors[id(tensor)] = channels
        rule = rule_of(call.op)
        if rule is not None and not rule.free:
            before = first.setdefault(id(call.op), (inputs, outputs))
            for some, others in zip(before, (inputs, outputs), strict=True):
                _same_in_all_calls(some, others, flow)
    for tensor in keras.tree.flatten(traced.outputs):
        if channels := tensors.get(id(tensor)):
            flow.pin(channels.ids, "output of the model")
    groups = components(flow.count, flow.edges)
    pinned: dict[int, str] = {}
    for ids, reason in flow.pins:
        for group in np.unique(groups[ids]):
            pinned.setdefault(int(group), reason)
    found = {key: value for key, value in tensors.items() if value is not None}
    return ChannelMap(groups, pinned, tuple(flow.mixing), found)


def _stated_axes(traced) -> dict[int, int]:
    """Maps `id(tensor)` to 1 if a layer reads it with the channels first."""
    return {
        id(tensor): 1
        for call in traced.calls
        for tensor in call.input_tensors
        if getattr(call.op, "data_format", None) == "channels_first"
    }


def _through(call, inputs, flow) -> list:
    """Returns the output channels of a call."""
    rule = rule_of(call.op)
    name = f"`{call.op.name}` (of type {type(call.op).__name__})"
    if rule is None:
        return flow.stop(inputs, f"no rule for {name}")
    if reason := unknown_weights(call.op, rule):
        return flow.stop(inputs, reason)
    if not inputs or any(channels is None for channels in inputs):
        return flow.stop(inputs, f"unknown input channels of {name}")
    outputs = rule.propagate(call.op, inputs, flow)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    if len(outputs) != len(call.output_tensors):
        return flow.stop(inputs, f"the rule for {name} returned {len(outputs)} outputs")
    return outputs


def _same_in_all_calls(first, others, flow):
    """Ties the channels that a layer reads and outputs in several calls."""
    reason = f"`{flow.call.op.name}` is called on unlike inputs"
    if len(first) != len(others):
        first, others = [*first, *others], [None] * (len(first) + len(others))
    for one, other in zip(first, others, strict=True):
        if one is other:
            continue
        alike = None not in (one, other) and one.axis == other.axis
        if alike and len(one) == len(other):
            flow.unite(one.ids, other.ids)
            continue
        for channels in (one, other):
            if channels is not None:
                flow.pin(channels.ids, reason)
