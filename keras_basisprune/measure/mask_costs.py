"""Costs of a model without its masked bases and channels."""

import dataclasses

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.layers import TrainedMask
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.measure.fold_costs import FoldCosts


class MaskCosts:
    """The cost of a model after pruning and folding, relative to the original.

    For bases, it is computed by `FoldCosts`. For channels, it is what `cost` counts
    after `prune`, without the layers that mask them. If a model has both, the ratios
    are multiplied, which is an estimate.

    Args:
        model: A model with `layers.TrainedMask`s.
        traced: Its `Trace`.
        masks: Its masked parts by name. Ratios depend on their current masks.

    Raises:
        ValueError: If a mask is for the channels of a layer that the model lacks.
    """

    def __init__(self, model, traced, masks):
        self._masks = masks
        self._bases = FoldCosts(model, basis_pairs(traced), traced)
        self._channels = None
        if any(weighed.kind == "channels" for weighed in masks.values()):
            self._channels = _MaskedChannels(traced, masks)

    def per_item(self, kind) -> dict[str, float]:
        """Returns the cost of one basis or channel of each layer.

        For channels it is the mean over a layer, each with all channels tied to it.

        Args:
            kind: `"params"` or `"flops"`.
        """
        found = self._bases.per_basis(kind)  # raises if sizes are unknown
        return found | (self._channels.per_channel(kind) if self._channels else {})

    def kept_and_total(self) -> tuple[int, int]:
        """Returns the number of bases and channels that are not masked, and of all."""
        masks = self._masks.values()
        return sum(int(m.mask.sum()) for m in masks), sum(m.count for m in masks)

    def logs(self) -> dict[str, float]:
        """Returns `kept_bases` or `kept_channels` (or both), and the ratios."""
        kept: dict[str, float] = {}
        for weighed in self._masks.values():
            key = f"kept_{weighed.kind}"
            kept[key] = kept.get(key, 0) + int(weighed.mask.sum())
        ratios = self._bases.ratios()
        if self._channels:
            own = self._channels.ratios()
            ratios = {key: ratios[key] * own[key] for key in ratios.keys() & own.keys()}
        return {**kept, **dict(sorted(ratios.items(), reverse=True))}


class _MaskedChannels:
    """Costs of channels."""

    def __init__(self, traced, masks):
        self._masks = [m for m in masks.values() if m.kind == "channels"]
        channels = channel_map(traced)
        self._groups = groups_of(traced, channels).layers
        self._pinned = np.zeros(channels.count, bool)
        self._pinned[list(channels.pinned)] = True
        for weighed in self._masks:
            if len(self._groups.get(weighed.name, ())) != weighed.count:
                raise ValueError(
                    f"Expected `{weighed.layer.name}` to weigh the channels of a layer "
                    f"of the model. Received: `{weighed.name}`, which has not those "
                    f"{weighed.count}. Let its `weighs` name their layer."
                )
        own = [c for c in traced.calls if not _weighs_channels(c.op)]
        bare = dataclasses.replace(traced, calls=own)
        self._costs = {"params": ChannelCosts(bare, channels, "params")}
        try:
            self._costs["flops"] = ChannelCosts(bare, channels, "flops")
        except ValueError:  # sizes of the input are unknown: parameters only
            pass

    def per_channel(self, kind):
        each = self._costs[kind].marginal()
        return {m.name: float(each[self._groups[m.name]].mean()) for m in self._masks}

    def ratios(self):
        groups = np.ones(len(self._pinned), bool)
        for weighed in self._masks:
            kept = weighed.mask
            if not kept.any():
                kept = np.arange(weighed.count) == np.argmax(weighed.layer.strength())
            groups[self._groups[weighed.name][~kept]] = False
        groups |= self._pinned
        whole = np.ones(len(groups), bool)
        return {
            f"{kind}_ratio": cost(groups) / cost(whole)
            for kind, cost in self._costs.items()
        }


def _weighs_channels(op) -> bool:
    return isinstance(op, TrainedMask) and op.weighs[0] == "channels"
