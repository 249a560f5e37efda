"""Chooses channels by scores and a budget or a threshold."""

import keras
import numpy as np
import numpy.typing as npt

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.measure import LatencyTable
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plan import Plan
from keras_basisprune.plans._channel_choice import ChannelChoice
from keras_basisprune.plans._check_measured import check_measured
from keras_basisprune.plans._measured_channels import measured_channels
from keras_basisprune.plans._quick_channels import QuickChannels
from keras_basisprune.plans.check_selection import (
    check_channel_scores,
    check_cost,
    check_selection,
)
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.sensitivity import Sensitivity
from keras_basisprune.scores.channels import compensated, l2_norm
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.types import Data


def select_channels(
    model: keras.Model,
    *,
    keep: float | None = None,
    threshold: float | None = None,
    scores: npt.ArrayLike | None = None,
    data: Data = None,
    cost: str | LatencyTable = "flops",
    scope: str = "local",
    limits: Limits | None = None,
    sensitivity: Sensitivity | None = None,
) -> Plan:
    """Chooses the channels to keep of each layer: its width.

    Groups of channels (`channel_groups`) are removed in the order of their scores,
    lowest first, until the model costs the given share, or no score is below the
    threshold. Costs are those that `measure.cost` counts after `prune`, for every layer
    that has a rule. Every tensor (of slices too) keeps at least one channel, so that
    `prune` can carry out the plan. Time is linear in the number of channels, times its
    logarithm; the time of the scores is added.

    With a `LatencyTable`, costs are milliseconds on this machine (`predicted_latency`).
    A smaller number of channels can be slower than a larger one (docs/compress.md), so
    selections are made at several widths: multiples of 1, 8, 16 and 32, as far as
    `limits` allow. With `keep`, up to five shares of FLOPs are tried at each multiple,
    until one takes 90 to 100 % of the time allowed; of these, the one with the most
    FLOPs is chosen. With `threshold`, the fastest one is chosen. Each selection needs
    two copies of the model, and about a second for each kind and size of layer that is
    not in the table yet: with a new table, five to twenty seconds per layer of the
    network.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        keep: Float in (0, 1], the share of the `cost` to keep. Pass this or
            `threshold`.
        threshold: Float >= 0. Scores are divided by the largest finite one (of the
            layer with `scope="local"`, otherwise of all); groups below it are removed.
        scores: Array of shape `(groups,)` in the numbering of `channel_groups(model)`,
            as the functions of `scores.channels` return it. Groups with infinite scores
            are kept. Defaults to `scores.channels.compensated(model, data)` with
            `data`, otherwise to `scores.channels.l2_norm(model)`; with these defaults,
            masked channels (`layers.TrainedMask`) are removed in any case.
        data: Unlabelled samples for the scores. It is not read if there are `scores`.
        cost: What is counted: `"flops"`, `"params"`, `"channels"` (groups that may be
            removed), or a `LatencyTable` (milliseconds).
        scope: `"local"`: groups are ranked within their layer, so that each layer loses
            the same share; `"global"`: all together. See `plans.per_cost` for scores
            per cost.
        limits: A `Limits`.
        sensitivity: A `Sensitivity` of this model, with curves of channels. The sum of
            the losses is then made as small as possible for the cost that `keep`
            leaves: layers that matter less are cut further. It replaces `scores`,
            `data` and `scope`, which are not read.

    Returns:
        A `Plan` whose `channels` name every layer that computes channels and loses
        some.

    Raises:
        CannotReach: If `keep` can't be reached within the limits (a `ValueError`).
        ValueError: If an argument is out of its range, `scores`, `data` or
            `sensitivity` do not fit the model, or there is a `sensitivity` together
            with `threshold` or `scores`.

    Example:

    >>> plan = keras_basisprune.select_channels(model, keep=0.5, data=images)
    >>> small = keras_basisprune.compensate(model, plan, images)

    As many channels of each layer as the outputs can best do without:

    >>> found = keras_basisprune.plans.sensitivity(model, images)
    >>> plan = keras_basisprune.select_channels(model, keep=0.7, sensitivity=found)
    """
    limits = check_record("limits", limits, Limits)
    keep, threshold = check_selection(keep, threshold, scope)
    check_cost(cost, "channels")
    traced = trace(model)
    if sensitivity is not None:
        check_measured(sensitivity, threshold, scores)
        given = {"keep": keep, "cost": cost, "limits": limits}
        return measured_channels(model, sensitivity, **given)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    choice = _choice(model, traced, channels, groups, scores, data, scope)
    if isinstance(cost, LatencyTable):
        quick = QuickChannels(model, traced, channels, choice, limits, cost)
        kept = quick.above(threshold) if keep is None else quick.within(keep)
    elif keep is None:
        kept = choice.above(threshold, limits)
    else:
        costs = ChannelCosts(traced, channels, cost)
        kept = choice.within(costs, keep, limits, cost)
    return choice.plan(kept)


def _choice(model, traced, channels, groups, scores, data, scope) -> ChannelChoice:
    """Returns the choice by scores."""
    masked = np.zeros(len(groups), bool)
    if scores is None:
        masked = _masked(traced, groups)
        scores = l2_norm(model) if data is None else compensated(model, data)
    scores = check_channel_scores(scores, len(groups))
    return ChannelChoice(traced, channels, groups, scores, masked, scope)


def _masked(traced, groups) -> np.ndarray:
    """Returns a boolean array of the groups that a layer has masked."""
    found = np.zeros(len(groups), bool)
    for weighed in trained_masks(traced).values():
        of = groups.layers.get(weighed.name, ())
        if weighed.kind == "channels" and len(of) == weighed.count:
            found[of[~weighed.mask]] = True
    return found
