"""Give each layer its rank, so that all together cost what they may."""

import bisect
import dataclasses
import math
from collections.abc import Mapping

import keras
import numpy as np
import numpy.typing as npt

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import Trace, trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.linalg import descending, folded_weights
from keras_basisprune.measure.fold_costs import FoldCosts
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.scores.energy import energies
from keras_basisprune.utils.cannot_reach import CannotReach
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number, is_number
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.check_whole import check_whole


def allocate(
    model: keras.Model,
    keep: float,
    cost: str | Mapping[str, float] = "params",
    of: str = "layers",
    scores: Mapping[str, npt.ArrayLike] | None = None,
    min_rank: int = 1,
    round_to: int = 1,
    *,
    _traced: Trace | None = None,
) -> Plan:
    """Chooses ranks so that the decomposed layers keep a share of their cost.

    All bases of all layers are ranked by score per cost, and the best are kept until
    the budget is spent. Costs are those after `fold`: a layer with `r` of the bases of
    an `(n, cout)` matrix costs `min(r (n + cout), n cout)`. A layer that would cost as
    much as the original keeps all of its bases but those that score 0 (masked ones).
    Time is linear in the number of bases, times the logarithm of it.

    Args:
        model: A converted model of full rank.
        keep: Float in (0, 1], the share of the cost to keep. It is exceeded only where
            `min_rank` demands it.
        cost: `"params"`, `"flops"`, or a dict that gives the cost of each decomposed
            layer as it was before (measured milliseconds, say).
        of: `"layers"`: `keep` is a share of what the decomposed layers cost; or
            `"model"`: of what the whole model costs.
        scores: A dict from layer names to arrays of shape `(rank,)`; the share of the
            layer that each basis stands for. Defaults to `scores.energy(model)`.
        min_rank: Bases that each layer keeps at least.
        round_to: Ranks are rounded down to a multiple of this, unless they are smaller
            or `min_rank` demands more.

    Returns:
        A `Plan` with an entry for every decomposed layer, for `prune` or, of a model
        whose scales are as `convert` made them, for
        `convert(..., rank=plan, basis="regression")`: the leading bases of each layer.

    Raises:
        ValueError: If the model is not converted, an argument is out of its range, or
            nothing is left for the decomposed layers.

    Example:

    >>> converted = keras_basisprune.convert(model, data=images)
    >>> plan = keras_basisprune.allocate(converted, keep=0.15, cost="flops")
    """
    keep = _check(keep, cost, of, min_rank, round_to)
    if not (scores is None or isinstance(scores, Mapping)):
        raise ValueError(
            "Expected `scores` to be a dict from layer names to arrays. Received: "
            f"{type(scores).__name__}. Pass `keras_basisprune.scores.energy(model)`."
        )
    traced = _traced or trace(model)
    pairs = basis_pairs(traced, model.name)
    check_finite_weights(model)
    costs = FoldCosts(model, pairs, traced)
    scores = energies(trained_masks(traced)) if scores is None else scores
    layers = _layers(pairs, costs, cost, scores)
    rest = costs.rest(cost) if of == "model" else 0.0
    budget = keep * (sum(layer.whole for layer in layers) + rest) - rest
    if budget <= 0:
        raise CannotReach(
            "Expected `keep` to leave something for the decomposed layers. Received: "
            f"keep={keep} with of='model', of which the other layers cost {rest:,.0f}. "
            "Pass a larger share, or of='layers'."
        )

    def plan(cut):
        return [layer.rank(cut, min_rank, round_to) for layer in layers]

    def fits(cut):
        spent = sum(x.spent(r) for x, r in zip(layers, plan(cut), strict=True))
        return spent <= budget * (1 + 1e-9)

    cuts = np.unique(np.concatenate([layer.values for layer in layers]))
    cuts = np.append(cuts[cuts > 0], np.inf)
    lowest = bisect.bisect_left(range(len(cuts) - 1), True, key=lambda i: fits(cuts[i]))
    ranks = zip(layers, plan(cuts[lowest]), strict=True)
    return Plan(bases={layer.name: layer.best(rank) for layer, rank in ranks})


@dataclasses.dataclass(frozen=True)
class _Layer:
    """What is known of a decomposed layer: costs, and the value of each basis."""

    name: str
    size: tuple[int, int]
    whole: float
    values: np.ndarray  # score per cost
    rounding: float  # share by which values that are the same may differ

    def rank(self, cut, min_rank, round_to) -> int:
        """Rank at which each kept basis is worth the cut."""
        rank = int(np.count_nonzero(self.values >= cut))
        rank = max(rank - rank % round_to if rank >= round_to else rank, min_rank)
        alive = max(np.count_nonzero(self.values), min_rank)
        merged = folded_weights(rank, *self.size) == math.prod(self.size)
        return min(alive if merged else rank, len(self.values))

    def spent(self, rank) -> float:
        """Cost of the folded layer at some rank."""
        return self.whole * (folded_weights(rank, *self.size) / math.prod(self.size))

    def best(self, rank) -> Kept:
        order = descending(self.values, self.rounding)[:rank]
        return Kept(tuple(sorted(order)), len(self.values))


def _layers(pairs, costs, cost, scores) -> list[_Layer]:
    sizes = costs.sizes()
    if isinstance(cost, Mapping):
        given = {name: cost.get(name) for name in pairs}
        wrong = {k: v for k, v in given.items() if not is_number(v, "(0, inf)")}
        if wrong:
            raise ValueError(
                "Expected `cost` to give every decomposed layer a number > 0. "
                f"Received: {wrong}. Pass milliseconds of each, say."
            )
        whole = cost
    else:
        each = costs.per_weight(cost)
        whole = {name: each[name] * math.prod(size) for name, size in sizes.items()}
    layers = []
    for name, pair in pairs.items():
        values = check_numeric("scores", scores.get(name, ())).astype(np.float64)
        if values.shape != (pair.rank,) or not np.all(values >= 0):
            raise ValueError(
                f"Expected `scores` to hold an array of shape ({pair.rank},), all "
                f"numbers >= 0, for `{name}`. Received: {scores.get(name)}."
            )
        per_basis = whole[name] * sum(sizes[name]) / math.prod(sizes[name])
        values = values / per_basis
        layers.append(_Layer(name, sizes[name], whole[name], values, pair.rounding))
    return layers


def _check(keep, cost, of, min_rank, round_to):
    if not isinstance(cost, Mapping):
        remedy = "Or pass a dict from layer names to costs."
        check_choice("cost", cost, ("params", "flops"), remedy)
    check_choice("of", of, ("layers", "model"))
    if of == "model" and isinstance(cost, Mapping):
        raise ValueError(
            "Expected `of` to be 'layers' where `cost` is a dict. Received: "
            "of='model'. What the other layers cost is not known."
        )
    for name, value in (("min_rank", min_rank), ("round_to", round_to)):
        check_whole(name, value, remedy="1 demands nothing.")
    return check_number(
        "keep",
        keep,
        "(0, 1]",
        "a float in (0, 1], the share of the cost to keep",
        "0.25 removes three quarters.",
    )
