"""The channels of a tensor, what ties them, and what keeps them where they are."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.trace import Call


@dataclasses.dataclass(frozen=True)
class Channels:
    """The channels of one tensor.

    Attributes:
        ids: Integer array of shape `(channels,)`: the identity of each channel. What
            has the same identity lives or dies together.
        axis: The tensor's channel axis, counted from the batch axis (0) on.
    """

    ids: np.ndarray
    axis: int

    def __len__(self):
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class KeptChannels:
    """Which channels of one tensor are kept.

    Attributes:
        indices: Integer array, their positions along `axis`, ascending.
        total: How many there were.
        axis: The tensor's channel axis, counted from the batch axis (0) on.
        rank: How many axes the tensor has, the batch axis included.
    """

    indices: np.ndarray
    total: int
    axis: int
    rank: int = 0

    def __len__(self):
        return len(self.indices)

    def __bool__(self):
        return True  # even if none is kept

    @property
    def behind(self) -> int:
        """The channel axis, counted from the last axis (1) on."""
        return self.rank - self.axis

    def take(self, weight, axis=-1) -> np.ndarray:
        """The kept part of a weight (or any array) along one of its axes."""
        weight = keras.ops.convert_to_numpy(weight)
        if len(self) == self.total:
            return weight
        return np.take(weight, self.indices, axis)


class Flow:
    """What `propagate` of a rule does with channels beside passing them on.

    Attributes:
        call: The `Call` that channels pass through at the moment.
        notes: What rules remember from one call of a layer to the next.
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
        """Identities of `size` new channels, the same whenever a layer is called."""
        own = (id(self.call.op), key)
        if own not in self._made:
            self._made[own] = self.fresh(size)
        return self._made[own]

    def fresh(self, size) -> np.ndarray:
        """Identities of `size` new channels, others with each call."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def unite(self, some, others):
        """Ties two arrays of identities, position by position."""
        pairs = np.stack(np.broadcast_arrays(some, others), axis=-1)
        self._edges.append(pairs.reshape(-1, 2))

    def unite_groups(self, ids, groups):
        """Ties the positions of groups of channels: each keeps the same number."""
        ids = ids.reshape(groups, -1)
        self.unite(ids[:1], ids)

    def pin(self, ids, reason):
        """Makes channels stay, whatever a plan says."""
        self.pins.append((np.asarray(ids), reason))

    def pinned(self, tensor, reason) -> Channels | None:
        """New channels of a tensor that have to stay; `None` if it has none."""
        axis = self._axes.get(id(tensor), len(tensor.shape) - 1)
        if len(tensor.shape) < 2 or tensor.shape[axis] is None:
            return None
        ids = self.fresh(tensor.shape[axis])
        self.pin(ids, reason)
        return Channels(ids, axis)

    def stop(self, inputs, reason) -> list:
        """Pins what goes into the call, and what comes out of it.

        A rule returns this where it can't follow channels.
        """
        for channels in inputs:
            if channels is not None:
                self.pin(channels.ids, reason)
        return [self.pinned(tensor, reason) for tensor in self.call.output_tensors]

    def normalizes(self):
        """Notes that the layer computes statistics across channels.

        What it makes of a channel depends on the others, so that removing channels is
        not the same as no longer reading them.
        """
        self.mixing[self.call.op.name] = None

    def axis_size(self, axis) -> int | None:
        """Size of the (first) output along an axis."""
        return self.call.output_tensors[0].shape[axis]

    def channel_axis(self, tensor) -> int:
        """The axis that the layer's own `data_format` names."""
        stated = getattr(self.call.op, "data_format", "channels_last")
        if stated is None:
            stated = keras.config.image_data_format()
        return 1 if stated == "channels_first" else len(tensor.shape) - 1


def axes_of(axis, rank) -> list[int]:
    """The axes that an `axis` argument names, counted from the batch axis on."""
    if axis is None:
        return list(range(rank))
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return [a % rank for a in axes]
