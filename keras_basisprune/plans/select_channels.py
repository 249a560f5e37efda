"""Scores of channel groups and a budget in, a plan out."""

import dataclasses
import math

import keras
import numpy as np
import numpy.typing as npt

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.match_layers import check_patterns, match_layers
from keras_basisprune.graph.trace import Trace, trace
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.utils.cannot_reach import CannotReach
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_whole import check_whole


@dataclasses.dataclass(frozen=True)
class ChannelLimits:
    """What a selection of channels must respect.

    Layers are those with weights: that make channels, or that keep channels which are
    made elsewhere (depthwise convolutions and BatchNormalization, also of a slice).

    Attributes:
        min_channels: Channels that each layer keeps at least.
        round_to: Kept channels per layer are rounded up to a multiple of this (at most
            the number there is), since some runtimes are fastest at multiples of 8.
            Normalization is as wide as what it reads.
        most: Float in (0, 1], the share of its channels that any layer loses at most.
        exclude: Layers and operators (with weights or without: an `Add`, an activation)
            that keep all of their output channels, and with these all that is tied to
            them, in other layers too. What they read may leave, unless it is tied to
            what they make. A layer name or regular expression, a layer class, a
            predicate `layer -> bool`, or a list of these.
    """

    min_channels: int = 1
    round_to: int = 1
    most: float = 1.0
    exclude: object = ()

    def __post_init__(self):
        for name in ("min_channels", "round_to"):
            check_whole(name, getattr(self, name), remedy="1 demands nothing.")
        expected = "a float in (0, 1], the share of its channels that a layer loses at"
        remedy = "1.0 limits nothing."
        check_number("most", self.most, "(0, 1]", f"{expected} most", remedy)
        check_patterns("exclude", () if self.exclude is None else self.exclude)


def select_channels(
    model: keras.Model,
    scores: npt.ArrayLike,
    keep: float,
    of: str = "flops",
    scope: str = "global",
    per: str | None = None,
    limits: ChannelLimits | None = None,
    *,
    _traced: Trace | None = None,
) -> Plan:
    """Chooses the channels to keep, so that the model costs a share of what it did.

    Groups of channels (`channel_groups`) leave in the order of their scores, lowest
    first, until the budget is met. Costs are those that `cost` measures after `prune`,
    for every layer that has a rule. Every tensor (of slices too) keeps at least one
    channel, so that `prune` can carry the plan out. Time is linear in the number of
    channels, times the logarithm of it.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        scores: Array of shape `(groups,)` in the numbering of `channel_groups(model)`,
            as the functions of `scores.channels` return it. Infinite scores stay.
        keep: Float in (0, 1], the share to keep.
        of: Of what: `"flops"`, `"params"` (both of the whole model), or `"channels"`
            (the groups that may leave).
        scope: `"global"`: all groups are ranked together; `"local"`: within their
            layer, so that each layer loses the same share.
        per: `None`, `"flops"` or `"params"`: what scores are divided by, the cost of
            the group in the whole model. Of two groups with the same score, the dearer
            one leaves first.
        limits: A `ChannelLimits`.

    Returns:
        A `Plan` whose `channels` name every layer that makes channels and loses some.

    Raises:
        ValueError: If an argument is out of its range, `scores` do not fit the model,
            or `keep` can't be reached within the limits.

    Example:

    >>> found = keras_basisprune.scores.channels.l2_norm(model)
    >>> plan = keras_basisprune.select_channels(model, found, keep=0.5)
    >>> small = keras_basisprune.prune(model, plan)
    """
    limits = check_record("limits", limits, ChannelLimits)
    keep = _check(keep, of, scope, per)
    traced = _traced or trace(model)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    scores = check_numeric("scores", scores).astype(np.float64)
    if scores.shape != (len(groups),) or np.isnan(scores).any():
        raise ValueError(
            f"Expected `scores` to be an array of shape ({len(groups)},), a number for "
            f"each of `channel_groups(model)`. Received: shape {scores.shape}"
            f"{', with NaN' if np.isnan(scores).any() else ''}. Score this model."
        )
    if per:
        cost = ChannelCosts(traced, channels, per).marginal()
        scores = scores / np.where(cost > 0, cost, 1.0)
    makers = _makers(traced, channels)
    if scope == "local":
        scores = _ranks(scores, makers)
    kernels = {c.op.name for c in traced.calls if hasattr(c.op, "kernel")}
    wide = [of for name, of in groups.layers.items() if name in kernels | set(makers)]

    def search_within(limits):
        stays = ~np.isfinite(scores)
        stays[list(groups.pinned)] = True
        stays[_excluded(traced, channels, limits.exclude)] = True
        _keep_some(scores, stays, groups, channels, limits)
        return _Search(scores, stays, _distinct(wide), limits.round_to)

    search, costs = search_within(limits), ChannelCosts(traced, channels, of)
    whole, least = costs(np.ones(len(scores), bool)), search.least(costs)
    if least > keep * whole * (1 + 1e-9):
        limited = search_within(ChannelLimits()).least(costs) < least
        raise CannotReach(
            f"Expected `keep` to be a share of the {of} that can be reached. "
            f"Received: keep={keep}; without all channels that may leave "
            f"{least / whole:.3f} is left"
            f"{_why(least / whole, search, groups.pinned, makers, limited)}"
        )
    alive = search.run(costs, keep * whole)
    return Plan(
        channels={
            name: Kept(tuple(np.flatnonzero(alive[found])), len(found))
            for name, found in makers.items()
            if not alive[found].all()
        }
    )


class _Search:
    """Lets groups leave, lowest scores first."""

    def __init__(self, scores, stays, layers, round_to):
        self.scores, self._layers, self._round_to = scores, layers, round_to
        order = np.argsort(scores, kind="stable")
        self.order = order[~stays[order]]

    def run(self, costs, most) -> np.ndarray:
        """Boolean array of the groups that are left when the cost is at `most`."""
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if costs(self._alive(middle)) <= most * (1 + 1e-9):
                high = middle
            else:
                low = middle + 1
        return self._alive(low)

    def least(self, costs) -> float:
        """The cost when all have left that may."""
        return costs(self._alive(len(self.order)))

    def _alive(self, gone):
        """What is left when so many groups have gone, rounded up."""
        alive = np.ones(len(self.scores), bool)
        alive[self.order[:gone]] = False
        if self._round_to > 1:
            changed = True
            while changed:
                changed = any([self._round_up(f, alive) for f in self._layers])
        return alive

    def _round_up(self, found, alive):
        count = int(alive[found].sum())
        missing = min(-(-count // self._round_to) * self._round_to, len(found)) - count
        if not missing:
            return False
        dead = found[~alive[found]]
        best = dead[np.argsort(-self.scores[dead], kind="stable")]
        alive[best[:missing]] = True
        return True


def _why(share, search, pinned, makers, limited) -> str:
    """What keeps the others, and what to do: the rest of a message."""
    remedies = [f"Pass keep={math.ceil(share * 1000) / 1000:.3f} or more"]
    if not len(search.order):
        remedies = ["No channel may leave: see `channel_groups(model)`"]
    stay, infinite = _kept_by(search.scores, pinned, makers)
    causes = [stay] if stay else []
    if infinite:
        causes.append(f"scores of {infinite} are infinite")
        remedies.append("scores of another criterion")
    if limited:
        causes.append("`limits` keep channels")
        remedies.append("wider `limits`")
    start = ": " if causes else ". "
    after = ". " if causes else ""
    return f"{start}{', '.join(causes)}{after}{', or '.join(remedies)}."


def _kept_by(scores, pinned, makers) -> tuple[str, str]:
    """What is pinned and why, and layers whose scores are infinite."""
    reasons = [r for r in pinned.values() if r != "input of the model"]
    told = _first(dict.fromkeys(reasons), "; ")
    stay = f"{len(reasons):,} groups can't leave ({told})" if reasons else ""
    free = np.isinf(scores)
    free[list(pinned)] = False
    names = [f"`{name}`" for name, of in makers.items() if free[of].any()]
    return stay, _first(names, ", ")


def _first(words, between) -> str:
    """The first four of some words in a row."""
    words = list(words)
    return between.join([*words[:4], *(["..."] if len(words) > 4 else [])])


def _keep_some(scores, stays, groups, channels, limits):
    """Lets groups stay, in place, without which something would have too few channels.

    Of each tensor one channel stays, since `prune` refuses a tensor without any: a
    slice may hold none of the best of its layer.
    """

    def keep_best(found, least):
        best = np.lexsort((-scores[found], ~stays[found]))[:least]
        stays[found[best]] = True

    for found in _distinct(groups.layers.values()):
        most = len(found) - int(limits.most * len(found))
        keep_best(found, max(limits.min_channels, most))
    for found in _distinct(channels.groups[t.ids] for t in channels.tensors.values()):
        keep_best(found, 1)


def _makers(traced, channels) -> dict[str, np.ndarray]:
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


def _distinct(arrays) -> list[np.ndarray]:
    """Each of several arrays once, smaller ones first."""
    found = {array.tobytes(): array for array in arrays if len(array)}
    return sorted(found.values(), key=len)


def _excluded(traced, channels, exclude) -> np.ndarray:
    """The groups of all that the excluded layers and operators put out."""
    layers = list({id(c.op): c.op for c in traced.calls}.values())
    chosen = {id(op) for op in match_layers(layers, exclude or (), "exclude")}
    outputs = [t for c in traced.calls if id(c.op) in chosen for t in c.output_tensors]
    found = [of for of in map(channels.of, outputs) if of is not None]
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))


def _check(keep, of, scope, per):
    for name, value, known in (
        ("of", of, ("flops", "params", "channels")),
        ("scope", scope, ("global", "local")),
        ("per", per, (None, "flops", "params")),
    ):
        check_choice(name, value, known)
    expected = "a float in (0, 1], the share to keep"
    remedy = "0.25 removes three quarters."
    return check_number("keep", keep, "(0, 1]", expected, remedy)
