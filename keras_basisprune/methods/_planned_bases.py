"""A plan for bases that are made anew: does it fit the model, and what does it keep."""

import collections

import numpy as np

from keras_basisprune.graph.rules import rule_of
from keras_basisprune.utils.shortened import shortened


class PlannedBases:
    """The bases that a plan keeps of layers which are about to be decomposed.

    Args:
        plan: A `Plan`.
        calls: The calls of the layers that will be decomposed.
        refitted: Whether bases are made anew for these ranks, so that only how many
            lead can be said of them.

    Raises:
        ValueError: If the plan names channels or a layer that is not among these,
            counts other bases, or keeps other bases than the leading ones when they
            are `refitted`.
    """

    def __init__(self, plan, calls, refitted):
        self._plan, self._refitted = plan, refitted
        self._asked: set[str] = set()
        if plan.channels:
            raise ValueError(
                "Expected `rank` to be a Plan of bases. Received: a plan that keeps "
                f"channels of [{shortened(map(repr, plan.channels))}]. Carry these out "
                "first, with `prune` or `compensate` and "
                "`Plan(channels=plan.channels)`; then convert what is left with "
                "`Plan(bases=plan.bases)`."
            )
        ranks = _possible(calls)
        self._known = list(ranks)
        self._refuse_unknown(plan.bases.keys() - ranks.keys())
        for name in plan.bases:
            if plan.bases[name].total not in ranks[name]:
                self._check(name, min(ranks[name]))
            self._check(name, plan.bases[name].total)

    def of(self, name, full) -> np.ndarray:
        """Integer array: which of the `full` bases of a layer are kept."""
        if name not in self._plan.bases:
            return np.arange(full)
        self._asked.add(name)
        self._check(name, full)
        return np.array(self._plan.bases[name].indices)

    def finish(self):
        """Raises a `ValueError` unless all layers that are named were asked for."""
        self._refuse_unknown(self._plan.bases.keys() - self._asked)

    def _refuse_unknown(self, names):
        if names:
            raise ValueError(
                "Expected `rank` to be a Plan that names layers which are decomposed. "
                f"Received: [{shortened(map(repr, sorted(names)))}]; there are "
                f"[{shortened(map(repr, self._known))}]. Make the plan from this "
                "model, with the same `include` and `exclude`."
            )

    def _check(self, name, full):
        kept = self._plan.bases[name]
        if kept.total != full:
            raise ValueError(
                f"Expected `rank` to be a Plan that counts {full} bases in `{name}`. "
                f"Received: total={kept.total}. Make the plan from this model."
            )
        if self._refitted and kept.indices != tuple(range(len(kept.indices))):
            raise ValueError(
                "Expected `rank` to be a Plan of the leading bases of each layer: with "
                "basis='regression' they are made anew, the strongest first. Received: "
                f"a plan that keeps {shortened(kept.indices, 8)} of {full} in "
                f"`{name}`. Take the basis that the plan was made of ('weights' or "
                "'activations'), `prune` the converted model by it, or pass a plan "
                "that `select_bases` made of a model which is not masked."
            )


def _possible(calls) -> dict[str, set[int]]:
    """The names that layers may get in a flat model, and the ranks under these.

    Layers of nested models that share a name are told apart by those of the models, or
    else by numbers.
    """
    ranks: dict[str, set[int]] = {}
    distinct = {id(call.op): call.op.name for call in calls}
    alike = collections.Counter(distinct.values())
    for call in calls:
        own = call.op.name
        full = min(rule_of(call.op).matrix_shape(call.op) or (0,))
        names = {"_".join((*call.scope[at:], own)) for at in range(len(call.scope))}
        names |= {f"{own}_{count}" for count in range(1, alike[own])}
        for name in {own, *names}:
            ranks.setdefault(name, set()).add(full)
    return ranks
