"""What a model costs without what its layers have masked."""

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.measure.fold_costs import FoldCosts


class MaskCosts:
    """The cost of a model after pruning and folding, relative to what it was.

    That of bases is what `FoldCosts` says. That of channels is what `cost` measures
    after `prune`, without the layers that weigh them. Where a model has both, the
    ratios are multiplied, which is an estimate.

    Args:
        model: A model with layers that weigh bases or channels.
        traced: Its `Trace`.
        masks: Its `Weighed`s by name. Ratios follow their masks.

    Raises:
        ValueError: If channels are weighed of a layer that the model does not have.
    """

    def __init__(self, model, traced, masks):
        self._masks = masks
        self._bases = FoldCosts(model, basis_pairs(traced), traced)
        self._channels = None
        if any(weighed.kind == "channels" for weighed in masks.values()):
            self._channels = _WeighedChannels(traced, masks)

    def per_item(self, kind) -> dict[str, float]:
        """What one basis or channel of each layer costs, in `"params"` or `"flops"`.

        The mean over a layer's channels, each with all that leaves with it.
        """
        found = self._bases.per_basis(kind)  # which refuses what can't be counted
        return found | (self._channels.per_channel(kind) if self._channels else {})

    def kept_and_total(self) -> tuple[int, int]:
        """Number of bases and channels that are not masked, and of all."""
        masks = self._masks.values()
        return sum(int(m.mask.sum()) for m in masks), sum(m.count for m in masks)

    def logs(self) -> dict[str, float]:
        """`kept_bases` or `kept_channels` (or both), and the ratios."""
        kept: dict[str, float] = {}
        for weighed in self._masks.values():
            key = f"kept_{weighed.kind}"
            kept[key] = kept.get(key, 0) + int(weighed.mask.sum())
        ratios = self._bases.ratios()
        if self._channels:
            own = self._channels.ratios()
            ratios = {key: ratios[key] * own[key] for key in ratios.keys() & own.keys()}
        return {**kept, **dict(sorted(ratios.items(), reverse=True))}


class _WeighedChannels:
    """The same for channels."""

    def __init__(self, traced, masks):
        self._masks = [m for m in masks.values() if m.kind == "channels"]
        channels = channel_map(traced)
        self._groups = groups_of(traced, channels).layers
        self._stay = np.zeros(channels.count, bool)
        self._stay[list(channels.pinned)] = True
        for weighed in self._masks:
            if len(self._groups.get(weighed.name, ())) != weighed.count:
                raise ValueError(
                    f"Expected `{weighed.layer.name}` to weigh the channels of a layer "
                    f"of the model. Received: `{weighed.name}`, which has not those "
                    f"{weighed.count}. Let its `weighs` name the layer that makes them."
                )
        self._costs = {"params": ChannelCosts(traced, channels, "params")}
        try:
            self._costs["flops"] = ChannelCosts(traced, channels, "flops")
        except ValueError:  # sizes of the input are unknown: parameters only
            pass

    def per_channel(self, kind):
        each = self._costs[kind].marginal()
        return {m.name: float(each[self._groups[m.name]].mean()) for m in self._masks}

    def ratios(self):
        alive = np.ones(len(self._stay), bool)
        for weighed in self._masks:
            kept = weighed.mask
            if not kept.any():
                kept = np.arange(weighed.count) == np.argmax(weighed.layer.strength())
            alive[self._groups[weighed.name][~kept]] = False
        alive |= self._stay
        whole = np.ones(len(alive), bool)
        return {
            f"{kind}_ratio": self._cost(kind, alive) / self._cost(kind, whole)
            for kind in self._costs
        }

    def _cost(self, kind, alive):
        cost = self._costs[kind](alive)
        if kind == "params":  # the layers that weigh have weights of their own
            cost -= sum(
                m.layer.count_params()
                * (np.count_nonzero(alive[self._groups[m.name]]) / m.count)
                for m in self._masks
            )
        return cost
