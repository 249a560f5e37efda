"""Which groups of channels stay: by a budget, by a threshold, within limits."""

import numpy as np

from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans._cannot_leave import cannot_leave
from keras_basisprune.plans.limits import Limits
from keras_basisprune.utils.cannot_reach import CannotReach


class ChannelChoice:
    """Chooses among the groups of channels of one model.

    Args:
        traced: The model's `Trace`.
        channels: Its `ChannelMap`.
        groups: Its `ChannelGroups`.
        scores: Float64 array of shape `(groups,)`. Infinite ones stay.
        masked: Boolean array: groups that leave in any case.
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
        """The groups by which the model costs a share of what it did.

        Args:
            costs: A `ChannelCosts`.
            keep: Float in (0, 1], the share.
            limits: A `Limits`.
            unit: What is counted, in words.

        Returns:
            A boolean array of shape `(groups,)`: those that stay.

        Raises:
            CannotReach: If it can't be done within the limits.
        """
        search = self._search(limits)
        whole, least = costs(np.ones(len(self._scores), bool)), search.least(costs)
        if least > keep * whole * (1 + 1e-9):
            limited = self._search(Limits()).least(costs) < least
            nothing, share = not len(search.order), least / whole
            why = cannot_leave(
                share, nothing, self._scores, self._groups.pinned, self._makers, limited
            )
            raise CannotReach(
                f"Expected `keep` to be a share of the {unit} that can be reached. "
                f"Received: keep={keep}; without all channels that may leave "
                f"{share:.3f} is left{why}"
            )
        return search.run(costs, keep * whole)

    def least(self, costs, limits) -> float:
        """The smallest share that can be reached within limits."""
        whole = costs(np.ones(len(self._scores), bool))
        return self._search(limits).least(costs) / whole

    def above(self, threshold, limits) -> np.ndarray:
        """The groups whose score is that share of the largest at least."""
        most = np.full(len(self._raw), _largest(self._raw))
        if self._local:
            for found in list(self._makers.values())[::-1]:  # its first layer counts
                most[found] = _largest(self._raw[found])
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(most > 0, self._raw / most, 0.0)
        return self._search(limits).without(shares < threshold)

    def plan(self, alive) -> Plan:
        """What stays, by the layers that make channels and lose some."""
        return Plan(
            channels={
                name: Kept(tuple(np.flatnonzero(alive[found])), len(found))
                for name, found in self._makers.items()
                if not alive[found].all()
            }
        )

    def _search(self, limits) -> "_Search":
        stays = ~np.isfinite(self._scores)
        stays[list(self._groups.pinned)] = True
        stays[excluded_groups(self._traced, self._channels, limits.exclude)] = True
        keep_some(self._scores, stays, self._groups, self._channels, limits)
        wide = _distinct(self._wide)
        return _Search(self._scores, stays, self._masked, wide, limits)


class _Search:
    """Lets groups leave, lowest scores first."""

    def __init__(self, scores, stays, masked, layers, limits):
        self._scores, self._layers, self._limits = scores, layers, limits
        order = np.argsort(scores, kind="stable")
        self.order = order[~stays[order]]
        self._masked = int(np.count_nonzero(masked[self.order]))  # these come first

    def run(self, costs, most) -> np.ndarray:
        """Boolean array of the groups that are left when the cost is at `most`."""
        low, high = self._masked, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if costs(self._alive(self.order[:middle])) <= most * (1 + 1e-9):
                high = middle
            else:
                low = middle + 1
        return self._alive(self.order[:low])

    def least(self, costs) -> float:
        """The cost when all have left that may."""
        return costs(self._alive(self.order))

    def without(self, weak) -> np.ndarray:
        """What is left when the groups that are `weak` (a boolean array) have gone."""
        weak = weak.copy()
        weak[self.order[: self._masked]] = True
        return self._alive(self.order[weak[self.order]])

    def _alive(self, gone):
        """What is left when some groups have gone, rounded up."""
        alive = np.ones(len(self._scores), bool)
        alive[gone] = False
        if self._limits.round_to > 1:
            changed = True
            while changed:
                changed = any([self._round_up(f, alive) for f in self._layers])
        return alive

    def _round_up(self, found, alive):
        count = int(alive[found].sum())
        missing = self._limits.rounded(count, len(found)) - count
        if not missing:
            return False
        dead = found[~alive[found]]
        best = dead[np.argsort(-self._scores[dead], kind="stable")]
        alive[best[:missing]] = True
        return True


def keep_some(scores, stays, groups, channels, limits):
    """Lets groups stay, in place, without which something would have too few channels.

    Of each tensor one channel stays, since `prune` refuses a tensor without any: a
    slice may hold none of the best of its layer.
    """

    def keep_best(found, least):
        best = np.lexsort((-scores[found], ~stays[found]))[:least]
        stays[found[best]] = True

    for found in _distinct(groups.layers.values()):
        keep_best(found, limits.least(len(found)))
    for found in _distinct(channels.groups[t.ids] for t in channels.tensors.values()):
        keep_best(found, 1)


def makers_of(traced, channels) -> dict[str, np.ndarray]:
    """The groups of the output channels of layers that make channels."""
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
    """Scores replaced by their rank within the first layer that has the group."""
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
    """Each of several arrays once, smaller ones first."""
    found = {array.tobytes(): array for array in arrays if len(array)}
    return sorted(found.values(), key=len)


def excluded_groups(traced, channels, exclude) -> np.ndarray:
    """The groups of all that the excluded layers and operators put out."""
    layers = list({id(c.op): c.op for c in traced.calls}.values())
    chosen = {id(op) for op in match_layers(layers, exclude or (), "exclude")}
    outputs = [t for c in traced.calls if id(c.op) in chosen for t in c.output_tensors]
    found = [of for of in map(channels.of, outputs) if of is not None]
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))
