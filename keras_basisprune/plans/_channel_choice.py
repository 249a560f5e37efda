"""Chooses groups of channels by a budget or a threshold, within limits."""

import numpy as np

from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans._cannot_remove import cannot_remove
from keras_basisprune.plans.limits import Limits
from keras_basisprune.utils.cannot_reach import CannotReach


class ChannelChoice:
    """Chooses among the groups of channels of one model.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        groups: Its `ChannelGroups`.
        scores: Float64 array of shape `(groups,)`. Groups with infinite ones are kept.
        masked: Boolean array: groups that are removed in any case.
        scope: `"global"` or `"local"`.
    """

    def __init__(self, traced, channels, groups, scores, masked, scope):
        self._traced, self._channels, self._groups = traced, channels, groups
        self._makers = makers = makers_of(traced, channels)
        self._raw = scores
        local = scope == "local"
        self._scores = _ranks(scores, makers) if local else scores
        self._masked = masked & np.isfinite(scores)
        if self._masked.any():
            finite = self._scores[np.isfinite(self._scores)]
            self._scores = np.where(self._masked, finite.min() - 1, self._scores)
        self._local = local
        kernels = {c.op.name for c in traced.calls if hasattr(c.op, "kernel")}
        named = kernels | set(makers)
        self._wide = [of for name, of in groups.layers.items() if name in named]

    def within(self, costs, keep, limits, unit) -> np.ndarray:
        """Returns the groups to keep for a share of the model's cost.

        Args:
            costs: A `ChannelCosts`.
            keep: Float in (0, 1], the share.
            limits: A `Limits`.
            unit: The name of the cost.

        Returns:
            A boolean array of shape `(groups,)`: those that are kept.

        Raises:
            CannotReach: If the share can't be reached within the limits.
        """
        search = self._search(limits)
        whole, lowest = costs(np.ones(len(self._scores), bool)), search.lowest(costs)
        if lowest > keep * whole * (1 + 1e-9):
            limited = self._search(Limits()).lowest(costs) < lowest
            nothing, share = not len(search.order), lowest / whole
            why = cannot_remove(
                share, nothing, self._scores, self._groups.pinned, self._makers, limited
            )
            raise CannotReach(
                f"Expected `keep` to be a share of the {unit} that can be reached. "
                f"Received: keep={keep}; the smallest share is {share:.3f}{why}"
            )
        return search.run(costs, keep * whole)

    def lowest(self, costs, limits) -> float:
        """Returns the smallest share that can be reached within limits."""
        whole = costs(np.ones(len(self._scores), bool))
        return self._search(limits).lowest(costs) / whole

    def above(self, threshold, limits) -> np.ndarray:
        """Returns the groups with scores of at least this share of the largest."""
        largest = np.full(len(self._raw), _largest(self._raw))
        if self._local:
            for found in list(self._makers.values())[::-1]:  # its first layer counts
                largest[found] = _largest(self._raw[found])
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(largest > 0, self._raw / largest, 0.0)
        return self._search(limits).without(shares < threshold)

    def plan(self, kept) -> Plan:
        """Returns the plan that keeps some groups, by the layers that lose channels."""
        return Plan(
            channels={
                name: Kept(tuple(np.flatnonzero(kept[found])), len(found))
                for name, found in self._makers.items()
                if not kept[found].all()
            }
        )

    def _search(self, limits) -> "_Search":
        fixed = ~np.isfinite(self._scores)
        fixed[list(self._groups.pinned)] = True
        fixed[excluded_groups(self._traced, self._channels, limits.exclude)] = True
        fix_some(self._scores, fixed, self._groups, self._channels, limits)
        wide = _distinct(self._wide)
        return _Search(self._scores, fixed, self._masked, wide, limits)


class _Search:
    """Removes groups that are not `fixed`, lowest scores first."""

    def __init__(self, scores, fixed, masked, layers, limits):
        self._scores, self._layers, self._limits = scores, layers, limits
        order = np.argsort(scores, kind="stable")
        self.order = order[~fixed[order]]
        self._masked = int(np.count_nonzero(masked[self.order]))  # these come first

    def run(self, costs, max_cost) -> np.ndarray:
        """Returns a boolean array of the groups that are kept at a cost."""
        low, high = self._masked, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if costs(self._kept(self.order[:middle])) <= max_cost * (1 + 1e-9):
                high = middle
            else:
                low = middle + 1
        return self._kept(self.order[:low])

    def lowest(self, costs) -> float:
        """Returns the cost without all groups that may be removed."""
        return costs(self._kept(self.order))

    def without(self, weak) -> np.ndarray:
        """Returns the groups that are kept without the `weak` (a boolean array)."""
        weak = weak.copy()
        weak[self.order[: self._masked]] = True
        return self._kept(self.order[weak[self.order]])

    def _kept(self, removed):
        """Returns the groups that are kept without some, with widths rounded up."""
        kept = np.ones(len(self._scores), bool)
        kept[removed] = False
        if self._limits.round_to > 1:
            changed = True
            while changed:
                changed = any([self._round_up(f, kept) for f in self._layers])
        return kept

    def _round_up(self, found, kept):
        count = int(kept[found].sum())
        missing = self._limits.rounded(count, len(found)) - count
        if not missing:
            return False
        removed = found[~kept[found]]
        best = removed[np.argsort(-self._scores[removed], kind="stable")]
        kept[best[:missing]] = True
        return True


def fix_some(scores, fixed, groups, channels, limits):
    """Fixes groups, in place, without which a layer would have too few channels.

    Each tensor keeps one channel, since `prune` refuses a tensor without channels: a
    slice may contain none of the best channels of its layer.
    """

    def keep_best(found, count):
        best = np.lexsort((-scores[found], ~fixed[found]))[:count]
        fixed[found[best]] = True

    for found in _distinct(groups.layers.values()):
        keep_best(found, limits.least(len(found)))
    for found in _distinct(channels.groups[t.ids] for t in channels.tensors.values()):
        keep_best(found, 1)


def makers_of(traced, channels) -> dict[str, np.ndarray]:
    """Returns the groups of output channels, by the layers that compute them."""
    makers = {}
    for call in traced.calls:
        found = channels.of(call.output_tensors[0])
        if found is None or not getattr(call.op, "weights", ()):
            continue
        source = [channels.of(tensor) for tensor in call.input_tensors]
        if not any(np.array_equal(found, other) for other in source):
            makers.setdefault(call.op.name, found)
    return makers


def _ranks(scores, makers) -> np.ndarray:
    """Replaces scores by their rank within the first layer that has the group."""
    ranks, done = np.full(len(scores), np.inf), np.zeros(len(scores), bool)
    for found in makers.values():
        mine = np.unique(found[~done[found] & np.isfinite(scores[found])])
        order = np.argsort(scores[mine], kind="stable")
        ranks[mine[order]] = (np.arange(len(mine)) + 0.5) / max(len(mine), 1)
        done[mine] = True
    return ranks


def _largest(scores) -> float:
    return float(np.max(scores, where=np.isfinite(scores), initial=0.0))


def _distinct(arrays) -> list[np.ndarray]:
    """Returns each of several arrays once, smaller ones first."""
    found = {array.tobytes(): array for array in arrays if len(array)}
    return sorted(found.values(), key=len)


def excluded_groups(traced, channels, exclude) -> np.ndarray:
    """Returns the groups of the outputs of excluded layers and operators."""
    layers = list({id(c.op): c.op for c in traced.calls}.values())
    chosen = {id(op) for op in match_layers(layers, exclude or (), "exclude")}
    outputs = [t for c in traced.calls if id(c.op) in chosen for t in c.output_tensors]
    found = [of for of in map(channels.of, outputs) if of is not None]
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))
