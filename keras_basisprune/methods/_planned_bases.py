"""Checks a plan of bases, and says what it keeps, before layers are decomposed."""

import numpy as np

from keras_basisprune.utils.shortened import shortened


class PlannedBases:
    """The bases that a plan keeps of layers which are about to be decomposed.

    Args:
        plan: A `Plan`.
        ranks: Maps the names of the layers that will be decomposed to their numbers of
            bases.
        refitted: Whether new bases are fitted for these ranks, so that a plan can only
            choose how many leading bases are kept.

    Raises:
        ValueError: If the plan names channels or a layer that is not in `ranks`, counts
            other bases, or keeps other bases than the leading ones when they are
            `refitted`.
    """

    def __init__(self, plan, ranks, refitted):
        self._plan, self._refitted = plan, refitted
        if plan.channels:
            raise ValueError(
                "Expected `rank` to be a Plan of bases. Received: a plan that keeps "
                f"channels of [{shortened(map(repr, plan.channels))}]. Prune channels "
                "first, with `prune` or `compensate` and "
                "`Plan(channels=plan.channels)`; then convert the result with "
                "`Plan(bases=plan.bases)`."
            )
        if unknown := plan.bases.keys() - ranks.keys():
            raise ValueError(
                "Expected `rank` to be a Plan that names layers which are decomposed. "
                f"Received: [{shortened(map(repr, sorted(unknown)))}]; there are "
                f"[{shortened(map(repr, ranks))}]. Make the plan from this model, with "
                "the same `include` and `exclude`."
            )
        for name in plan.bases:
            self._check(name, ranks[name])

    def of(self, name, full) -> np.ndarray:
        """Returns an integer array of those of a layer's `full` bases that are kept."""
        if name not in self._plan.bases:
            return np.arange(full)
        return np.array(self._plan.bases[name].indices)

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
                "basis='regression' new ones are fitted, strongest first. Received: "
                f"a plan that keeps {shortened(kept.indices, 8)} of {full} in "
                f"`{name}`. Use the basis that the plan was made from ('weights' or "
                "'activations'), `prune` the converted model by it, or pass a plan "
                "that `select_bases` made from a model which is not masked."
            )
