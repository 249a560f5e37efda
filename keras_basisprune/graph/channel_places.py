"""Where layers that weigh channels have to stand."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.channel_groups import ChannelGroups
from keras_basisprune.graph.channel_map import ChannelMap
from keras_basisprune.graph.factors_pass import factors_pass
from keras_basisprune.graph.rules import known
from keras_basisprune.graph.trace import Call, Trace, is_from_keras


@dataclasses.dataclass(frozen=True)
class ChannelPlace:
    """A tensor whose channels are to be weighed, and who reads them then.

    Attributes:
        tensor: The `KerasTensor`.
        readers: The calls that read it behind the weighing layer. Others (a sum) read
            the tensor as it is.
        parts: What its channels are, in order: the names of the layers that make them,
            and for channels that are not weighed, their number.
        data_format: Where the channel axis is. With two axes, it is the last one.
    """

    tensor: keras.KerasTensor
    readers: tuple[Call, ...]
    parts: tuple[str | int, ...]
    data_format: str

    @property
    def names(self) -> tuple[str, ...]:
        """The layers whose channels are weighed, each once."""
        return tuple(dict.fromkeys(p for p in self.parts if isinstance(p, str)))


def channel_places(
    traced: Trace, channels: ChannelMap, groups: ChannelGroups, among=None
) -> list[ChannelPlace]:
    """Finds where zeros in place of channels do what `prune` does without them.

    That is so if every layer that reads the channels by its weights reads them behind
    such a place. Each reader is followed back to what has activated (or else made) its
    channels: past pooling, dropout, padding, `Flatten` and `Concatenate`, by which
    zeros pass, unless a layer of another kind (a sum) reads what is in between. So
    places are behind BatchNormalization and activation, behind the depthwise
    convolutions of the channels, and a factor acts once on each path through residual
    sums. Channels that are activated only after they were joined to those of other
    layers (DenseNet) are weighed there: such a place has several parts. Time is linear
    in the number of calls and of the channels of all tensors.

    There is no place for channels that can't leave, that are tied to others of the
    same layer (grouped convolutions), of which parts of a layer are read by themselves
    (slices), that a layer computes statistics across (`ChannelGroups.mixing`), or that
    a layer of one's own reads by unknown weights.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        groups: Its `ChannelGroups`.
        among: Boolean array of shape `(groups,)`: those to be weighed. Defaults to all.

    Returns:
        A list of `ChannelPlace`s, in order of execution.
    """
    free = np.ones(groups.count, bool) if among is None else np.array(among, bool)
    free[list(groups.pinned)] = False
    found = _Readers(traced, channels, free).found()
    homes = _Homes(groups, free)
    of = {key: channels.of(tensor) for key, (tensor, _) in found.items()}
    formats = {key: _format(channels, tensor) for key, (tensor, _) in found.items()}
    for key, (tensor, _) in found.items():
        homes.note(of[key], formats[key], len(tensor.shape))
    while homes.changed(of.values()):
        pass
    places = []
    for call in traced.calls:
        for key in map(id, call.output_tensors):
            parts = homes.parts(of[key]) if key in found else ()
            weighed = (str(part) for part in parts if part in homes)
            form = next((homes.formats.get(name, "") for name in weighed), "")
            if any(part in homes for part in parts):
                tensor, readers = found[key]
                form = form or formats[key]
                places.append(ChannelPlace(tensor, tuple(readers), parts, form))
    return places


class _Readers:
    """Finds the tensors to weigh, and their readers; gives up what can't be weighed."""

    def __init__(self, traced, channels, free):
        self._traced, self._channels, self._free = traced, channels, free
        self._consumers, self._producers = traced.consumers(), traced.producers()
        self._results = {id(t) for t in keras.tree.flatten(traced.outputs)}
        self._only: dict[int, bool] = {}
        self._seen: set[tuple[int, int]] = set()
        self._found: dict[int, tuple] = {}

    def found(self) -> dict[int, tuple]:
        """Maps the `id`s of tensors to a pair: the tensor, and the calls that read it.

        Takes from `free` what no place can serve.
        """
        mixing = set(self._channels.mixing)
        for call in self._traced.calls:
            for tensor in call.input_tensors:
                of = self._channels.of(tensor)
                apart = call.op.name not in mixing and self._is_known(call, tensor)
                if of is not None and not apart:
                    self._free[of] = False
        self._reads = {id(call): self._read_by(call) for call in self._traced.calls}
        for call in self._traced.calls:
            for tensor in call.input_tensors:
                if id(tensor) in self._reads[id(call)]:
                    self._settle(call, tensor)
        return self._found

    def _stops(self, call, tensor) -> bool:
        """Whether a call makes something else of a tensor's channels."""
        of = self._channels.of(tensor)
        if of is None:
            return False
        made = [self._channels.of(output) for output in call.output_tensors]
        return not any(other is not None and np.isin(of, other).any() for other in made)

    def _is_known(self, call, tensor) -> bool:
        """Whether zeros in a tensor are to a call what the lack of channels is."""
        if is_from_keras(type(call.op)) or not self._stops(call, tensor):
            return True
        reads = known(call.op, "reads", call.op, call) or ()
        return any(read.tensor is tensor for read in reads)

    def _read_by(self, call) -> set[int]:
        """The `id`s of the tensors whose channels a call reads by weights."""
        return {
            id(tensor)
            for tensor in call.input_tensors
            if self._stops(call, tensor) and self._free[self._channels.of(tensor)].any()
        }

    def _settle(self, call, tensor):
        """Has a call read a tensor behind a place, or what the tensor is made of."""
        if (id(call), id(tensor)) in self._seen:
            return
        self._seen.add((id(call), id(tensor)))
        producer = self._producers.get(id(tensor))
        if producer is None:
            return
        if factors_pass(producer.op):
            of = self._channels.of(tensor)
            repeated = of is not None and len(np.unique(of)) < len(of)
            if repeated or self._only_read(tensor):
                for source in producer.input_tensors:
                    self._settle(producer, source)
                return
        self._found.setdefault(id(tensor), (tensor, []))[1].append(call)

    def _only_read(self, tensor) -> bool:
        """Whether all that reads a tensor does so by weights, and it is no output."""
        key = id(tensor)
        if key not in self._only:
            self._only[key] = key not in self._results and all(
                key in self._reads[id(call)]
                or (factors_pass(call.op) and self._only_read(call.output_tensors[0]))
                for call in self._consumers.get(key, ())
            )
        return self._only[key]


class _Homes:
    """The layers whose channels are weighed, each as a whole.

    Args:
        groups: The model's `ChannelGroups`.
        free: Boolean array of shape `(groups,)`: those that may be weighed.
    """

    def __init__(self, groups, free):
        self.formats: dict[str, str] = {}
        self._layers: dict[str, np.ndarray] = {}
        self._of = np.full(len(free), -1)  # the number of each group's home
        self._names: list[str] = []
        new = np.array(free)
        # A layer behind a concatenation has the channels of several others.
        for name, found in sorted(groups.layers.items(), key=lambda item: len(item[1])):
            if new[found].all() and len(np.unique(found)) == len(found):
                self._of[found] = len(self._names)
                self._names.append(name)
                self._layers[name] = found
            new[found] = False

    def __contains__(self, name):
        return name in self._layers

    def parts(self, of) -> tuple[str | int, ...]:
        """What the channels of a tensor are, in order: names, and numbers of others."""
        parts, _ = self._parted(of)
        return tuple(parts)

    def note(self, of, data_format, rank):
        """Drops those of a tensor whose channel axis is not where it is elsewhere."""
        for part in self.parts(of):
            if part in self:
                alike = rank == 2 or data_format == self.formats.setdefault(
                    part, data_format
                )
                if not (alike and data_format):
                    self._drop(part)

    def changed(self, tensors) -> bool:
        """Drops those that are not whole in one of some tensors' groups."""
        broken = set().union(*(self._parted(of)[1] for of in tensors))
        for name in broken:
            self._drop(name)
        return bool(broken)

    def _drop(self, name):
        self._of[self._layers.pop(name)] = -1

    def _parted(self, of):
        parts: list[str | int] = []
        broken: set[str] = set()
        start = 0
        while start < len(of):
            number = self._of[of[start]]
            home = self._layers[self._names[number]] if number >= 0 else of[:0]
            if len(home) and np.array_equal(of[start : start + len(home)], home):
                parts.append(self._names[number])
                start += len(home)
                continue
            if len(home):
                broken.add(self._names[number])
            if parts and isinstance(parts[-1], int):
                parts[-1] += 1
            else:
                parts.append(1)
            start += 1
        return parts, broken


def _format(channels, tensor) -> str:
    axis = channels.tensors[id(tensor)].axis
    if axis == len(tensor.shape) - 1:
        return "channels_last"
    return "channels_first" if axis == 1 else ""
