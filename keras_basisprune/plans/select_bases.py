"""Scores and a threshold or ratio in, a plan out."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from keras_basisprune.plan import Kept, Plan
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number, is_number
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.shown import shown


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a selection must respect.

    Attributes:
        scope: `"local"`: each layer is judged by itself, scores relative to its own
            largest. `"global"`: all layers are judged together.
        costs: Maps layer names to what one basis costs (FLOPs or parameters). With
            `scope="global"`, scores are divided by it, so that of two bases with the
            same score the dearer one leaves first.
        min_rank: Bases that each layer keeps at least.
        round_to: Kept bases per layer are rounded up to a multiple of this.
    """

    scope: str = "local"
    costs: Mapping[str, float] | None = None
    min_rank: int = 1
    round_to: int = 1

    def __post_init__(self):
        remedy = "'local' judges each layer by itself."
        check_choice("scope", self.scope, ("local", "global"), remedy)
        for name in ("min_rank", "round_to"):
            check_whole(name, getattr(self, name), remedy="1 demands nothing.")
        if not (self.costs is None or isinstance(self.costs, Mapping)):
            raise ValueError(
                "Expected `costs` to be None or a dict from layer names to numbers. "
                f"Received: costs of type {type(self.costs).__name__}. Leave it out "
                "if every basis costs the same."
            )
        _check_costs(self.costs or {})


def select(
    scores: Mapping[str, npt.ArrayLike],
    threshold: float | None = None,
    ratio: float | None = None,
    limits: Limits | None = None,
) -> Plan:
    """Chooses the bases to keep.

    Args:
        scores: A dict from layer names to arrays of shape `(rank,)`, not negative.
            What scores 0 exactly (a masked basis) is never kept, except to reach
            `limits.min_rank` or a multiple of `limits.round_to`.
        threshold: Float. Scores are divided by the largest (of the layer or, with
            `scope="global"`, of all); what lies under `threshold` leaves. Give this or
            `ratio`.
        ratio: Float in [0, 1), the share of bases that leave, lowest scores first
            (of each layer, or of all), masked ones counted. Rounded down; bases with
            equal scores leave together or stay together.
        limits: A `Limits`. Defaults to local judgement, at least one basis per layer.

    Returns:
        A `Plan` with an entry for every layer in `scores`. Where `limits` demand more
        than the threshold leaves, the highest scores stay.

    Raises:
        ValueError: If not exactly one of `threshold` and `ratio` is given, or a value
            is out of its range.

    Example:

    >>> plan = select({"conv": np.array([1.0, 0.5, 0.01])}, threshold=0.1)
    >>> plan.bases["conv"].indices
    (0, 1)
    """
    limits = check_record("limits", limits, Limits)
    scores, threshold, ratio = _checked(scores, threshold, ratio)
    if limits.scope == "global":
        scores = _per_cost(scores, limits.costs)
    cut = _cut_off(np.concatenate(list(scores.values())), threshold, ratio)
    bases = {}
    for name, values in scores.items():
        if limits.scope == "local":
            cut = _cut_off(values, threshold, ratio)
        bases[name] = _keep(values, cut, limits)
    return Plan(bases=bases)


def _checked(scores, threshold, ratio):
    """The same as float64 arrays and floats."""
    if (threshold is None) == (ratio is None):
        raise ValueError(
            "Expected exactly one of `threshold` and `ratio`. "
            f"Received: threshold={threshold}, ratio={ratio}. Pass one of them."
        )
    if threshold is not None:
        remedy = "1 removes all but the highest scores."
        expected = "a finite number >= 0"
        threshold = check_number("threshold", threshold, "[0, inf)", expected, remedy)
    if ratio is not None:
        expected = "in [0, 1), the share of bases to remove"
        remedy = "0.5 removes one half."
        ratio = check_number("ratio", ratio, "[0, 1)", expected, remedy)
    if not isinstance(scores, Mapping) or not scores:
        empty = isinstance(scores, Mapping)
        received = "an empty dict" if empty else f"scores={shown(scores)}"
        raise ValueError(
            f"Expected `scores` to name a layer, in a dict. Received: {received}. "
            "Score a converted model, by `keras_basisprune.scores.energy`, say."
        )
    found = {}
    for name, values in scores.items():
        found[name] = values = check_numeric("scores", values).astype(np.float64)
        fine = np.isfinite(values) & (values >= 0)
        if values.ndim != 1 or not values.size or not fine.all():
            raise ValueError(
                "Expected `scores` to hold arrays of shape (rank,) of finite numbers "
                f">= 0. Received: {values} for `{name}`. If training diverged, start "
                "again with a lower learning rate."
            )
    return found, threshold, ratio


def _per_cost(scores, costs):
    if costs is None:
        return scores
    _check_costs({name: costs.get(name) for name in scores})
    mean = np.mean([costs[name] for name in scores])
    return {name: values * (mean / costs[name]) for name, values in scores.items()}


def _check_costs(costs):
    wrong = {k: v for k, v in costs.items() if not is_number(v, "(0, inf)")}
    if wrong:
        raise ValueError(
            "Expected `costs` to give every layer in `scores` a number > 0. Received: "
            f"{wrong}. Pass the FLOPs or parameters of one basis for each layer."
        )


def _cut_off(values, threshold, ratio) -> float:
    """The score from which on bases are kept."""
    if threshold is not None:
        return threshold * values.max()
    removed = int(np.floor(ratio * values.size + 1e-9))
    return np.sort(values)[removed]


def _keep(values, cut, limits) -> Kept:
    alive = int(np.count_nonzero((values >= cut) & (values > 0)))
    count = max(alive, limits.min_rank)
    count = min(-(-count // limits.round_to) * limits.round_to, values.size)
    order = np.argsort(-values, kind="stable")[:count]
    return Kept(tuple(sorted(order)), values.size)
