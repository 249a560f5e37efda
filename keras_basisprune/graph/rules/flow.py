"""The channels of a tensor, and what ties and pins them."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.trace import Call


@dataclasses.dataclass(frozen=True)
class Channels:
    """The channels of one tensor.

    Attributes:
        ids: Integer array of shape `(channels,)`: the identity of each channel.
            Channels of the same identity are kept or removed together.
        axis: The tensor's channel axis, counted from the batch axis (0) on.
    """

    ids: np.ndarray
    axis: int

    def __len__(self):
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class KeptChannels:
    """The kept channels of one tensor.

    Attributes:
        indices: Integer array, their positions along `axis`, ascending.
        total: Number of channels before.
        axis: The tensor's channel axis, counted from the batch axis (0) on.
        rank: Number of axes of the tensor, the batch axis included.
    """

    indices: np.ndarray
    total: int
    axis: int
    rank: int = 0

    def __len__(self):
        return len(self.indices)

    def __bool__(self):
        return True  # even if no channel is kept

    @property
    def behind(self) -> int:
        """The channel axis, counted from the last axis (1) on."""
        return self.rank - self.axis

    def take(self, weight, axis=-1) -> np.ndarray:
        """Returns the kept part of a weight (or any array) along one of its axes."""
        weight = keras.ops.convert_to_numpy(weight)
        if len(self) == self.total:
            return weight
        return np.take(weight, self.indices, axis)


class Flow:
    """Creates, ties and pins channels, for `propagate` of a rule.

    Attributes:
        call: The current `Call`.
        notes: A dict in which rules may store facts from one call to the next.
    """

    def __init__(self, axes=None):
        self.call: Call | None = None
        self.count = 0
        self.pins: list[tuple[np.ndarray, str]] = []
        self.mixing: dict[str, None] = {}
        self.notes: dict = {}
        self._axes = axes or {}
        self._edges: list[np.ndarray] = []
        self._made: dict[tuple, np.ndarray] = {}

    @property
    def edges(self) -> np.ndarray:
        """Integer array of shape `(edges, 2)`: the identities that were united."""
        return np.concatenate([np.empty((0, 2), np.int64), *self._edges])

    def make(self, size, key="") -> np.ndarray:
        """Returns `size` new identities, the same whenever a layer is called."""
        own = (id(self.call.op), key)
        if own not in self._made:
            self._made[own] = self.fresh(size)
        return self._made[own]

    def fresh(self, size) -> np.ndarray:
        """Returns `size` new identities, different ones each time."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def unite(self, some, others):
        """Ties two arrays of identities, position by position."""
        pairs = np.stack(np.broadcast_arrays(some, others), axis=-1)
        self._edges.append(pairs.reshape(-1, 2))

    def unite_groups(self, ids, groups):
        """Ties groups of channels by position, so that each keeps equally many."""
        ids = ids.reshape(groups, -1)
        self.unite(ids[:1], ids)

    def pin(self, ids, reason):
        """Keeps channels from being removed, and notes the reason."""
        self.pins.append((np.asarray(ids), reason))

    def pinned(self, tensor, reason) -> Channels | None:
        """Returns new, pinned channels of a tensor; `None` if it has no channels."""
        axis = self._axes.get(id(tensor), len(tensor.shape) - 1)
        if len(tensor.shape) < 2 or tensor.shape[axis] is None:
            return None
        ids = self.fresh(tensor.shape[axis])
        self.pin(ids, reason)
        return Channels(ids, axis)

    def stop(self, inputs, reason) -> list:
        """Pins the channels of a call's inputs and outputs.

        A rule returns this where it can't follow channels.
        """
        for channels in inputs:
            if channels is not None:
                self.pin(channels.ids, reason)
        return [self.pinned(tensor, reason) for tensor in self.call.output_tensors]

    def normalizes(self):
        """Notes that the layer computes statistics across channels.

        Its output for a channel depends on the others, so that removing channels is not
        the same as no longer reading them.
        """
        self.mixing[self.call.op.name] = None

    def axis_size(self, axis) -> int | None:
        """Returns the size of the (first) output along an axis."""
        return self.call.output_tensors[0].shape[axis]

    def channel_axis(self, tensor) -> int:
        """Returns the channel axis by the layer's `data_format`."""
        stated = getattr(self.call.op, "data_format", "channels_last")
        if stated is None:
            stated = keras.config.image_data_format()
        return 1 if stated == "channels_first" else len(tensor.shape) - 1


def axes_of(axis, rank) -> list[int]:
    """Returns the axes of an `axis` argument, counted from the batch axis on."""
    if axis is None:
        return list(range(rank))
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return [a % rank for a in axes]
