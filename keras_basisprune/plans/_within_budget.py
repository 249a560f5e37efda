"""Chooses the ranks of all layers for a total cost."""

import bisect
import dataclasses
import math

import numpy as np

from keras_basisprune.linalg import descending, folded_weights
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.utils.cannot_reach import CannotReach


def within_budget(parts, keep, whole, rest, limits, excluded, scope, cost) -> Plan:
    """Chooses the bases to keep for a share of the model's cost.

    Args:
        parts: The `Part`s of the model.
        keep: Float in (0, 1], the share.
        whole: Maps their names to their costs before decomposition.
        rest: The cost of all other layers.
        limits: A `Limits`.
        excluded: Names of parts that keep all bases that do not score 0.
        scope: `"global"`: bases by score per cost; `"local"`: the same share of the
            bases of each layer, by score.
        cost: The name of the cost; `"bases"` for their number alone.

    Returns:
        A `Plan`.

    Raises:
        CannotReach: If the share can't be reached within the limits.
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
            f"Received: keep={keep}; the smallest share is {share:.3f}, of which "
            f"{rest / total:.3f} is in layers that are not decomposed. Pass "
            f"keep={math.ceil(share * 1000) / 1000:.3f} or more{_remedy(limits)}."
        )
    lowest = bisect.bisect_left(range(len(cuts) - 1), True, key=lambda i: fits(cuts[i]))
    return Plan(bases={layer.name: layer.best(cuts[lowest]) for layer in layers})


def _remedy(limits) -> str:
    own = limits != Limits()
    return ", or wider `limits`" if own else ", or remove channels first"


@dataclasses.dataclass(frozen=True)
class _Layer:
    """The cost of a layer, and the value of each of its bases."""

    name: str
    matrix: tuple[int, int]
    whole: float
    scores: np.ndarray
    values: np.ndarray  # by which bases of all layers are compared
    rounding: float  # relative difference up to which scores count as equal
    limits: Limits
    min_kept: int
    folds: bool  # whether the cost is that of the folded layer

    def rank(self, cut) -> int:
        """Returns the rank at which each kept basis has at least the value `cut`."""
        count = len(self.values)
        rank = max(int(np.count_nonzero(self.values >= cut)), self.min_kept)
        rank = self.limits.rounded(rank, count)
        if self.folds and folded_weights(rank, *self.matrix) == math.prod(self.matrix):
            nonzero = max(int(np.count_nonzero(self.values)), self.min_kept)
            return self.limits.rounded(nonzero, count)
        return rank

    def spent(self, rank) -> float:
        """Returns the cost of the folded layer at some rank."""
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
    min_kept = max(part.nonzero if excluded else limits.least(part.rank), 1)
    size, rounding = part.matrix, part.rounding
    return _Layer(
        part.name, size, whole, part.scores, values, rounding, limits, min_kept, folds
    )
