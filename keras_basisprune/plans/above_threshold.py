"""Chooses the bases whose scores reach a threshold, or a share of them."""

import numpy as np

from keras_basisprune.linalg import descending
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.utils.check_number import check_number, is_number
from keras_basisprune.utils.check_numeric import check_numeric


def above_threshold(
    scores,
    threshold=None,
    *,
    ratio=None,
    scope="local",
    costs=None,
    limits=None,
    excluded=(),
    rounding=None,
) -> Plan:
    """Chooses the bases to keep, layer by layer, by their scores alone.

    Args:
        scores: A dict from layer names to float64 arrays of shape `(rank,)`, finite and
            not negative. Bases that score exactly 0 (masked ones) are never kept,
            except to reach what `limits` demand.
        threshold: Float >= 0. Scores are divided by the largest (of the layer or, with
            `scope="global"`, of all); bases below `threshold` are removed. Pass this or
            `ratio`.
        ratio: Float in [0, 1), the share of bases to remove, lowest scores first (of
            each layer, or of all), masked ones included. Rounded down; bases with equal
            scores are kept or removed together.
        scope: `"local"`: each layer is judged by itself; `"global"`: all together.
        costs: Maps layer names to the cost of one basis. With `scope="global"`, scores
            are divided by it, so that of two bases with the same score the more
            expensive one is removed first.
        limits: A `Limits`, whose `exclude` is ignored.
        excluded: Names of layers that keep all bases that do not score 0.
        rounding: Maps layer names to the relative difference up to which scores count
            as equal (see `linalg.descending`). Defaults to 0.

    Returns:
        A `Plan` with an entry for every layer in `scores`. If limits demand more bases
        than reach the threshold, those with the highest scores are kept.

    Raises:
        ValueError: If `threshold`, `ratio` or a score is out of its range.
    """
    limits = limits or Limits()
    if threshold is not None:
        remedy = "1 removes all but the highest scores."
        expected = "a finite number >= 0"
        threshold = check_number("threshold", threshold, "[0, inf)", expected, remedy)
    else:
        expected = "in [0, 1), the share of bases to remove"
        remedy = "0.5 removes one half."
        ratio = check_number("ratio", ratio, "[0, 1)", expected, remedy)
    scores = {name: _checked(name, own) for name, own in scores.items()}
    if not scores:
        raise ValueError(
            "Expected `scores` to name a layer, in a dict. Received: an empty dict. "
            "Score a converted model, for example by `keras_basisprune.scores.energy`."
        )
    if scope == "global":
        scores = _per_cost(scores, costs)
    cut = _cut_off(np.concatenate(list(scores.values())), threshold, ratio)
    bases = {}
    for name, values in scores.items():
        if scope == "local":
            cut = _cut_off(values, threshold, ratio)
        own = 0.0 if name in excluded else cut
        bases[name] = _keep(values, own, limits, (rounding or {}).get(name, 0.0))
    return Plan(bases=bases)


def _checked(name, values) -> np.ndarray:
    """Returns scores of one layer as a float64 array; raises `ValueError` if wrong."""
    values = check_numeric("scores", values).astype(np.float64)
    fine = np.isfinite(values) & (values >= 0)
    if values.ndim != 1 or not values.size or not fine.all():
        raise ValueError(
            "Expected `scores` to hold arrays of shape (rank,) of finite numbers "
            f">= 0. Received: {values} for `{name}`. If training diverged, start "
            "again with a lower learning rate."
        )
    return values


def _per_cost(scores, costs):
    if costs is None:
        return scores
    wrong = {x: costs.get(x) for x in scores if not is_number(costs.get(x), "(0, inf)")}
    if wrong:
        raise ValueError(
            "Expected `costs` to give every layer in `scores` a number > 0. Received: "
            f"{wrong}. Pass the FLOPs or parameters of one basis for each layer."
        )
    mean = np.mean([costs[name] for name in scores])
    return {name: values * (mean / costs[name]) for name, values in scores.items()}


def _cut_off(values, threshold, ratio) -> float:
    """Returns the lowest score that is kept."""
    if threshold is not None:
        return threshold * values.max()
    removed = int(np.floor(ratio * values.size + 1e-9))
    return np.sort(values)[removed]


def _keep(values, cut, limits, rounding) -> Kept:
    good = int(np.count_nonzero((values >= cut) & (values > 0)))
    count = limits.rounded(max(good, limits.least(values.size)), values.size)
    order = descending(values, rounding)[:count]
    return Kept(tuple(sorted(order)), values.size)
