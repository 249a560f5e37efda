"""Scores of channel groups and a budget in, a plan out."""

import dataclasses
import math

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channels import channel_map
from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.trace import trace


@dataclasses.dataclass(frozen=True)
class ChannelLimits:
    """What a selection of channels must respect.

    Attributes:
        min_channels: Channels that each layer keeps at least.
        round_to: Kept channels per layer are rounded up to a multiple of this (at most
            the number there is), since some runtimes are fastest at multiples of 8.
        most: Float in (0, 1], the share of its channels that any layer loses at most.
        exclude: Layers that keep all channels: a layer name or regular expression, a
            layer class, a predicate `layer -> bool`, or a list of these.
    """

    min_channels: int = 1
    round_to: int = 1
    most: float = 1.0
    exclude: object = ()

    def __post_init__(self):
        for name in ("min_channels", "round_to"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(
                    f"Expected `{name}` to be a positive integer. "
                    f"Received: {name}={value}. 1 demands nothing."
                )
        if not 0 < self.most <= 1:
            raise ValueError(
                "Expected `most` to be a float in (0, 1], the share of its channels "
                f"that a layer loses at most. Received: most={self.most}."
            )


def select_channels(
    model, scores, keep, of="flops", scope="global", per=None, limits=None
) -> Plan:
    """Chooses the channels to keep, so that the model costs a share of what it did.

    Groups of channels (`channel_groups`) leave in the order of their scores, lowest
    first, until the budget is met. Costs are those that `cost` measures after `prune`,
    for every layer that has a rule. Time is linear in the number of channels, times the
    logarithm of it.

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
    limits = limits or ChannelLimits()
    _check(keep, of, scope, per)
    traced = trace(model)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    scores = np.asarray(scores, np.float64)
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
    excluded = _excluded(traced, limits.exclude)
    search = _Search(scores, makers, groups.pinned, excluded, limits)
    alive = search.run(ChannelCosts(traced, channels, of), keep, of)
    return Plan(
        channels={
            name: Kept(tuple(np.flatnonzero(alive[found])), len(found))
            for name, found in makers.items()
            if not alive[found].all()
        }
    )


class _Search:
    """Lets groups leave, lowest scores first."""

    def __init__(self, scores, makers, pinned, excluded, limits):
        self._scores, self._makers, self._pinned = scores, makers, pinned
        self._round_to = limits.round_to
        stays = ~np.isfinite(scores)
        stays[list(pinned)] = True
        for name, found in makers.items():
            least = max(limits.min_channels, len(found) - int(limits.most * len(found)))
            best = np.argsort(-scores[found], kind="stable")[:least]
            stays[found if name in excluded else found[best]] = True
        order = np.argsort(scores, kind="stable")
        self._order = order[~stays[order]]

    def run(self, costs, keep, of) -> np.ndarray:
        """Boolean array of the groups that are left."""
        whole = costs(np.ones(len(self._scores), bool))
        low, high = 0, len(self._order)
        least = self.least(costs)
        if least > keep * whole * (1 + 1e-9):
            raise ValueError(
                f"Expected `keep` to be a share of the {of} that can be reached. "
                f"Received: keep={keep}; without all channels that may leave "
                f"{least / whole:.3f} is left{self._why(costs, least / whole)}"
            )
        while low < high:
            middle = (low + high) // 2
            if costs(self._alive(middle)) <= keep * whole * (1 + 1e-9):
                high = middle
            else:
                low = middle + 1
        return self._alive(low)

    def least(self, costs) -> float:
        """The cost when all have left that may."""
        return costs(self._alive(len(self._order)))

    def _why(self, costs, share) -> str:
        """What keeps the others, and what to do: the rest of a message."""
        remedies = [f"Pass keep={math.ceil(share * 1000) / 1000:.3f} or more"]
        if not len(self._order):
            remedies = ["No channel may leave: see `channel_groups(model)`"]
        pinned, infinite = self._kept_by()
        causes = [pinned] if pinned else []
        if infinite:
            causes.append(f"scores of {infinite} are infinite")
            remedies.append("scores of another criterion")
        free = _Search(self._scores, self._makers, self._pinned, set(), ChannelLimits())
        if free.least(costs) < self.least(costs):
            causes.append("`limits` keep channels")
            remedies.append("wider `limits`")
        start = ": " if causes else ". "
        after = ". " if causes else ""
        return f"{start}{', '.join(causes)}{after}{', or '.join(remedies)}."

    def _kept_by(self) -> tuple[str, str]:
        """What is pinned and why, and layers whose scores are infinite."""
        pinned = [r for r in self._pinned.values() if r != "input of the model"]
        reasons = _first(dict.fromkeys(pinned), "; ")
        stay = f"{len(pinned):,} groups can't leave ({reasons})" if pinned else ""
        free = np.isinf(self._scores)
        free[list(self._pinned)] = False
        names = [f"`{name}`" for name, of in self._makers.items() if free[of].any()]
        return stay, _first(names, ", ")

    def _alive(self, gone):
        """What is left when so many groups have gone, rounded up."""
        alive = np.ones(len(self._scores), bool)
        alive[self._order[:gone]] = False
        if self._round_to > 1:
            changed = True
            while changed:
                changed = any([self._round_up(f, alive) for f in self._makers.values()])
        return alive

    def _round_up(self, found, alive):
        count = int(alive[found].sum())
        missing = min(-(-count // self._round_to) * self._round_to, len(found)) - count
        if not missing:
            return False
        dead = found[~alive[found]]
        best = dead[np.argsort(-self._scores[dead], kind="stable")]
        alive[best[:missing]] = True
        return True


def _first(words, between) -> str:
    """The first four of some words in a row."""
    words = list(words)
    return between.join([*words[:4], *(["..."] if len(words) > 4 else [])])


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


def _excluded(traced, exclude) -> set[str]:
    layers = list({id(c.op): c.op for c in traced.calls}.values())
    return {layer.name for layer in match_layers(layers, exclude or (), "exclude")}


def _check(keep, of, scope, per):
    if not 0 < keep <= 1:
        raise ValueError(
            "Expected `keep` to be a float in (0, 1], the share to keep. "
            f"Received: keep={keep}. 0.25 removes three quarters."
        )
    for name, value, known in (
        ("of", of, ("flops", "params", "channels")),
        ("scope", scope, ("global", "local")),
        ("per", per, (None, "flops", "params")),
    ):
        if value not in known:
            raise ValueError(
                f"Expected `{name}` to be one of {known}. Received: {name}={value!r}."
            )
