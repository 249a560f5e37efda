"""Chooses bases by scores and a budget or a threshold."""

import math
from collections.abc import Mapping

import keras
import numpy.typing as npt

from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import LatencyTable
from keras_basisprune.plan import Plan
from keras_basisprune.plans._check_measured import check_measured
from keras_basisprune.plans._measured_bases import measured_bases
from keras_basisprune.plans._part_costs import part_costs
from keras_basisprune.plans._parts import excluded_parts, parts_of
from keras_basisprune.plans._quick_ranks import quick_ranks
from keras_basisprune.plans._within_budget import within_budget
from keras_basisprune.plans.above_threshold import above_threshold
from keras_basisprune.plans.check_selection import check_cost, check_selection
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.sensitivity import Sensitivity
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.types import Data


def select_bases(
    model: keras.Model,
    *,
    keep: float | None = None,
    threshold: float | None = None,
    scores: Mapping[str, npt.ArrayLike] | None = None,
    data: Data = None,
    cost: str | LatencyTable = "flops",
    scope: str = "global",
    limits: Limits | None = None,
    sensitivity: Sensitivity | None = None,
) -> Plan:
    """Chooses the bases to keep of each layer: its rank.

    With `keep`, all bases of all layers are ranked by score per cost, and the best are
    kept as long as the model costs no more than that share. Costs are those after
    `fold`: a layer with `r` of the bases of an `(n, cout)` matrix costs
    `min(r (n + cout), n cout)` times its positions. A layer that would cost as much as
    the original keeps all of its bases except those that score 0 (masked bases, which
    are removed in any case). Shares are of the whole original model, before it was
    converted or masked.

    With `threshold`, bases with a lower score are removed, at whatever cost results.

    Time is linear in the number of bases, times its logarithm; for a model that is not
    converted, the time of `scores.bases` is added.

    With a `LatencyTable`, costs are milliseconds on this machine. To choose ranks by
    the budget, the time of a layer with `r` bases is assumed to be proportional to its
    weights. Then each rank is raised to one that runs fastest: a smaller number of
    channels can be slower than a larger one, and two layers slower than the layer that
    they replace (docs/compress.md). The chosen rank, the next multiples of 4, 8 and 16,
    and the whole layer are timed; of those that take at most 2 % longer than the
    fastest, the one with the most bases is chosen. This needs a copy of the model, and
    about a second for each kind and size of layer that is not in the table yet: up to
    ten for each decomposed layer, one for each other layer.

    Args:
        model: A converted model of full rank, masked or not; or one that is not
            converted: then the plan is for `convert(model, plan)`.
        keep: Float in (0, 1], the share of the `cost` to keep. Pass this or
            `threshold`.
        threshold: Float >= 0. Scores are divided by the largest (of the layer with
            `scope="local"`, otherwise of all, per cost); bases below it are removed.
            Each layer keeps at least one basis.
        scores: A dict from layer names to arrays of shape `(rank,)`, not negative.
            Bases that score 0 are removed, unless `limits` keep them. Defaults to the
            shares of energy in the layer: `scores.energy(model)` or, if the model is
            not converted, the squares of `scores.bases(model, data)` divided by their
            sum. If the model is not converted, only layers named here are decomposed.
        data: Unlabelled samples, for a model that is not converted: spectra are those
            of the layers' outputs, and the plan is for `convert(model, plan,
            data=data)`, with the basis `"activations"` or `"regression"`. `None` for
            spectra of the weights. Also an `OutputStatistics`, or a `data.BeamSource`.
            It is not read if there are `scores`.
        cost: What is counted: `"flops"`, `"params"`, `"bases"` (their number, in layers
            that are decomposed), or a `LatencyTable` (milliseconds).
        scope: `"global"`: all bases are ranked together, by score per cost; `"local"`:
            within their layer, so that each keeps the same share of its bases.
        limits: A `Limits`. Ranks are rounded up, and others are lowered to compensate.
        sensitivity: A `Sensitivity` of this model (before it was converted), with
            curves of bases. The sum of the losses is then made as small as possible for
            the cost that `keep` leaves. It replaces `scores`, `data` and `scope`, which
            are not read; the plan is for `convert(model, plan, data=data)`. Layers
            without a curve are not decomposed.

    Returns:
        A `Plan` with an entry for every decomposed layer, for `prune` or `convert`.

    Raises:
        CannotReach: If `keep` can't be reached (a `ValueError`).
        ValueError: If an argument is out of its range, `scores` do not fit the model,
            there is `data` for a converted model, or no layer can be decomposed.

    Example:

    >>> plan = keras_basisprune.select_bases(model, keep=0.15, data=images)
    >>> small = keras_basisprune.convert(model, plan, basis="regression", data=images)

    For a model whose scales have been trained:

    >>> plan = keras_basisprune.select_bases(converted, threshold=0.01, scope="local")
    >>> small = keras_basisprune.prune(converted, plan)
    """
    limits = check_record("limits", limits, Limits)
    keep, threshold = check_selection(keep, threshold, scope)
    check_cost(cost, "bases")
    traced = trace(model)
    check_finite_weights(model)
    if sensitivity is not None:
        check_measured(sensitivity, threshold, scores)
        scores, data = measured_bases(model, traced, sensitivity), None
        scope = "global"
    parts = parts_of(model, traced, scores, data)
    excluded = excluded_parts(traced, parts, limits.exclude)
    timed = isinstance(cost, LatencyTable)
    if threshold is not None and scope == "local":  # costs make no difference
        whole, rest = {}, 0.0
    else:
        whole, rest = part_costs(model, traced, parts, cost)
    if threshold is None:
        kind = "milliseconds" if timed else cost
        plan = within_budget(parts, keep, whole, rest, limits, excluded, scope, kind)
    else:
        plan = _above(threshold, parts, whole, limits, excluded, scope, cost)
    if timed:
        plan = quick_ranks(plan, parts, traced, cost, limits, excluded)
    return plan


def _above(threshold, parts, whole, limits, excluded, scope, cost) -> Plan:
    costs = None
    if whole and cost != "bases":
        costs = {
            part.name: whole[part.name] * sum(part.matrix) / math.prod(part.matrix)
            for part in parts
        }
    return above_threshold(
        {part.name: part.scores for part in parts},
        threshold,
        scope=scope,
        costs=costs,
        limits=limits,
        excluded=excluded,
        rounding={part.name: part.rounding for part in parts},
    )
