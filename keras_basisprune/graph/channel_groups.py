"""Groups of channels that are kept or removed together."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from keras_basisprune.graph.channel_map import ChannelMap, channel_map
from keras_basisprune.graph.trace import Trace, trace
from keras_basisprune.utils.shortened import shortened


@dataclasses.dataclass(frozen=True)
class ChannelGroups:
    """Groups of channels. Each group is kept or removed as a whole.

    Attributes:
        layers: Maps names of layers to integer arrays of shape `(cout,)`: the group of
            each output channel. Included are layers that produce channels
            (convolutions, dense layers) and layers with weights per channel
            (BatchNormalization).
        pinned: Maps numbers of groups that can't be removed to the reason.
        mixing: Names of layers that compute statistics across channels
            (LayerNormalization). Their outputs for kept channels change when other
            channels are removed.
        count: Number of groups.

    Example:

    >>> groups = keras_basisprune.graph.channel_groups(model)
    >>> groups.prunable("conv1").all()
    True
    >>> print(groups)
    """

    layers: Mapping[str, np.ndarray]
    pinned: Mapping[int, str]
    mixing: tuple[str, ...]
    count: int

    def __len__(self):
        return self.count

    def prunable(self, name: str) -> np.ndarray:
        """Returns a boolean array of shape `(cout,)`: which may be removed."""
        return np.array([int(g) not in self.pinned for g in self.layers[name]], bool)

    def members(self, group: int) -> dict[str, tuple[int, ...]]:
        """Returns the output channels in a group, by the names of their layers."""
        found = {name: np.flatnonzero(of == group) for name, of in self.layers.items()}
        return {name: tuple(map(int, at)) for name, at in found.items() if len(at)}

    def __str__(self):
        lines = [
            f"{self.count:,} groups of channels, {len(self.pinned):,} of them stay"
        ]
        reasons: dict[str, int] = {}
        for reason in self.pinned.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        lines += [f"  {count:,}: {reason}" for reason, count in reasons.items()]
        if self.mixing:
            names = shortened(self.mixing, 3)
            lines.append(f"statistics across channels in {len(self.mixing)}: {names}")
        return "\n".join(lines)


def channel_groups(model: keras.Model) -> ChannelGroups:
    """Finds the channels that the architecture ties together.

    Every channel of every tensor has an identity. Layers that produce new channels
    create identities, layers that keep channels pass them on, sums and products unite
    them. Groups are the connected components. A channel is pinned if it is an input
    or output of the model, or if a layer without a rule reads or outputs it (see
    `channel_rule`). Time and memory are linear in the number of calls and channels.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.

    Returns:
        A `ChannelGroups`.

    Raises:
        ValueError: If the model is subclassed or not built, or two layers of nested
            models share a name.

    Example:

    >>> model = keras.applications.MobileNetV2(weights=None)
    >>> groups = keras_basisprune.graph.channel_groups(model)
    """
    traced = trace(model)
    return groups_of(traced, channel_map(traced))


def groups_of(traced: Trace, channels: ChannelMap) -> ChannelGroups:
    """Returns the `ChannelGroups` of a `ChannelMap`."""
    layers: dict[str, np.ndarray] = {}
    owners: dict[str, int] = {}
    for call in traced.calls:
        found = channels.of(call.output_tensors[0])
        if found is None or not getattr(call.op, "weights", ()):
            continue
        if owners.setdefault(call.op.name, id(call.op)) != id(call.op):
            raise ValueError(
                f"Expected one layer of the name `{call.op.name}`. Received: two, in "
                "nested models. Call `keras_basisprune.graph.flatten(model)`, which "
                "renames one of them."
            )
        layers[call.op.name] = found
    return ChannelGroups(layers, channels.pinned, channels.mixing, channels.count)
