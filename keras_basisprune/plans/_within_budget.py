"""Ranks by which all layers together cost what they may."""

import bisect
import dataclasses
import math

import numpy as np

from keras_basisprune.linalg import descending, folded_weights
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.utils.cannot_reach import CannotReach


def within_budget(parts, keep, whole, rest, limits, excluded, scope, cost) -> Plan:
    """Chooses the bases by which a model costs a share of what it did.

    Args:
        parts: The `Part`s of the model.
        keep: Float in (0, 1], the share.
        whole: Maps their names to what they cost before they were decomposed.
        rest: What all else costs.
        limits: A `Limits`.
        excluded: Names of parts that keep all that does not score 0.
        scope: `"global"`: bases by score per cost; `"local"`: the same share of each
            layer's, by score.
        cost: What is counted, in words; `"bases"` for their number alone.

    Returns:
        A `Plan`.

    Raises:
        CannotReach: If it can't be done within the limits.
    """
    layers = [
        _layer(part, whole[part.name], limits, part.name in excluded, scope, cost)
        for part in parts
    ]
    total = sum(whole.values()) + rest

    def spent(cut) -> float:
        return rest + sum(layer.spent(layer.rank(cut)) for layer in layers)

    def fits(cut):
        return spent(cut) <= keep * total * (1 + 1e-9)

    cuts = np.unique(np.concatenate([layer.values for layer in layers]))
    cuts = np.append(cuts[cuts > 0], np.inf)
    if not fits(np.inf):
        share = spent(np.inf) / total
        raise CannotReach(
            f"Expected `keep` to be a share of the {cost} that can be reached. "
            f"Received: keep={keep}; without all bases that may leave {share:.3f} is "
            f"left, {rest / total:.3f} of it in what is not decomposed. Pass "
            f"keep={math.ceil(share * 1000) / 1000:.3f} or more{_remedy(limits)}."
        )
    lowest = bisect.bisect_left(range(len(cuts) - 1), True, key=lambda i: fits(cuts[i]))
    return Plan(bases={layer.name: layer.best(cuts[lowest]) for layer in layers})


def _remedy(limits) -> str:
    own = limits != Limits()
    return ", or wider `limits`" if own else ", or let channels leave first"


@dataclasses.dataclass(frozen=True)
class _Layer:
    """What is known of a layer: what it costs, and the value of each basis."""

    name: str
    matrix: tuple[int, int]
    whole: float
    scores: np.ndarray
    values: np.ndarray  # what bases of all layers are compared by
    rounding: float  # share by which scores that are the same may differ
    limits: Limits
    least: int
    folds: bool  # whether the cost is that of the folded layer

    def rank(self, cut) -> int:
        """Rank at which each kept basis is worth the cut."""
        count = len(self.values)
        rank = max(int(np.count_nonzero(self.values >= cut)), self.least)
        rank = self.limits.rounded(rank, count)
        if self.folds and folded_weights(rank, *self.matrix) == math.prod(self.matrix):
            alive = max(int(np.count_nonzero(self.values)), self.least)
            return self.limits.rounded(alive, count)
        return rank

    def spent(self, rank) -> float:
        """Cost of the folded layer at some rank."""
        if not self.folds:
            return self.whole * (rank / len(self.values))
        share = folded_weights(rank, *self.matrix) / math.prod(self.matrix)
        return self.whole * share

    def best(self, cut) -> Kept:
        order = descending(self.scores, self.rounding)[: self.rank(cut)]
        return Kept(tuple(sorted(order)), len(self.values))


def _layer(part, whole, limits, excluded, scope, cost) -> _Layer:
    folds = cost != "bases"
    n, cout = part.matrix
    per_basis = whole * (n + cout) / (n * cout) if folds else 1.0
    values = part.scores / per_basis
    if scope == "local":
        values = np.empty(part.rank)
        order = descending(part.scores, part.rounding)
        values[order] = 1 - np.arange(part.rank) / part.rank
        values[part.scores == 0] = 0.0
    least = part.alive if excluded else limits.least(part.rank)
    least = max(least, 1)
    size, rounding = part.matrix, part.rounding
    return _Layer(
        part.name, size, whole, part.scores, values, rounding, limits, least, folds
    )
