"""Where layers that weigh channels have to stand."""

import dataclasses

import numpy as np

from keras_basisprune.graph.channel_groups import ChannelGroups
from keras_basisprune.graph.channel_map import ChannelMap
from keras_basisprune.graph.factors_pass import factors_pass
from keras_basisprune.graph.trace import Call, Trace


@dataclasses.dataclass(frozen=True)
class ChannelPlace:
    """Where one layer that weighs channels has to stand.

    Attributes:
        name: Name of the first layer that makes the channels.
        count: Number of channels; each is a group of its own (`channel_groups`).
        calls: The `Call`s of the trace behind whose only output it is to be called.
        data_format: `"channels_first"` or `"channels_last"`, the same at all of them.
    """

    name: str
    count: int
    calls: tuple[Call, ...]
    data_format: str


def channel_places(
    traced: Trace, channels: ChannelMap, groups: ChannelGroups
) -> list[ChannelPlace]:
    """Finds where zeros in place of channels do what `prune` does without them.

    That is so if every layer that reads the channels by its weights reads them behind
    such a place. Each reader is followed back: past pooling, dropout, padding,
    `Flatten` and `Concatenate`, by which zeros pass, to what has activated (or else
    made) its channels. So places are behind BatchNormalization and activation, and
    behind the depthwise convolutions of the channels. Layers whose channels the
    architecture ties together share one entry. Time is linear in the number of calls
    and channels.

    There is no place for channels that can't leave, that are tied to others of the
    same layer (grouped convolutions), that a layer computes statistics across
    (`ChannelGroups.mixing`), or that are read only after channels of other layers have
    been joined to them and BatchNormalization has followed (DenseNet).

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        groups: Its `ChannelGroups`.

    Returns:
        A list of `ChannelPlace`s, in order of execution.
    """
    return _Places(traced, channels, groups).found()


class _Places:
    def __init__(self, traced, channels, groups):
        self._traced, self._channels = traced, channels
        self._producers = traced.producers()
        self._free = np.ones(groups.count, bool)  # no obstacle was found
        self._free[list(groups.pinned)] = False
        self._homes: dict[bytes, str] = {}
        new = self._free.copy()  # channels of no layer before
        for name, found in groups.layers.items():
            if new[found].all() and len(np.unique(found)) == len(found):
                self._homes[_key(found)] = name
            new[found] = False
        self._calls: dict[bytes, dict[int, Call]] = {}

    def found(self) -> list[ChannelPlace]:
        mixing = set(self._channels.mixing)
        for call in self._traced.calls:
            for tensor in call.input_tensors:
                if call.op.name in mixing:
                    self._give_up(tensor)
                elif self._reads(call, tensor):
                    self._settle(tensor)
        return [
            ChannelPlace(name, len(np.frombuffer(key, np.int64)), *place)
            for key, name in self._homes.items()
            if self._free[np.frombuffer(key, np.int64)].all()
            and (place := self._place(self._calls.get(key, {})))
        ]

    def _reads(self, call, tensor) -> bool:
        """Whether a call makes something else of channels that may leave."""
        of = self._channels.of(tensor)
        if of is None or not self._free[of].any():
            return False
        made = [self._channels.of(output) for output in call.output_tensors]
        return not any(other is not None and np.isin(of, other).any() for other in made)

    def _settle(self, tensor):
        """Notes the call behind which all channels of a tensor can be weighed."""
        call = self._producers.get(id(tensor))
        if call is not None and factors_pass(call.op):
            for source in call.input_tensors:
                self._settle(source)
            return
        of = self._channels.of(tensor)
        key = None if of is None else _key(of)
        if call is None or key not in self._homes or len(call.output_tensors) != 1:
            self._give_up(tensor)
            return
        self._calls.setdefault(key, {})[id(call)] = call

    def _give_up(self, tensor):
        of = self._channels.of(tensor)
        if of is not None:
            self._free[of] = False

    def _place(self, calls) -> tuple | None:
        """The calls in order, and the format; `None` if there is no such place."""
        outputs = [call.output_tensors[0] for call in calls.values()]
        axes = [
            (self._channels.tensors[id(tensor)].axis, len(tensor.shape) - 1)
            for tensor in outputs
        ]
        order = tuple(call for call in self._traced.calls if id(call) in calls)
        if not order:
            return None
        if all(axis == last for axis, last in axes):
            return order, "channels_last"
        return (order, "channels_first") if all(a == 1 for a, _ in axes) else None


def _key(groups) -> bytes:
    return np.asarray(groups, np.int64).tobytes()
