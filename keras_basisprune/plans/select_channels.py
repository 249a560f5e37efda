"""Scores of channel groups and a budget or a threshold in, a plan out."""

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
from keras_basisprune.plans._quick_channels import QuickChannels
from keras_basisprune.plans.check_selection import (
    check_channel_scores,
    check_cost,
    check_selection,
)
from keras_basisprune.plans.limits import Limits
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
) -> Plan:
    """Chooses the channels to keep of each layer: its width.

    Groups of channels (`channel_groups`) leave in the order of their scores, lowest
    first, until the model costs the share that is asked for, or none is left under the
    threshold. Costs are those that `measure.cost` finds after `prune`, for every layer
    that has a rule. Every tensor (of slices too) keeps at least one channel, so that
    `prune` can carry the plan out. Time is linear in the number of channels, times the
    logarithm of it; that of the scores comes on top.

    With a `LatencyTable`, costs are milliseconds on this machine (`predicted_latency`).
    A smaller number of channels can be slower than a larger one (docs/compress.md), so
    that selections are made at several widths: multiples of 1, 8, 16 and 32, as far as
    `limits` allow. For a `keep`, at each multiple up to five shares of FLOPs are tried,
    until one takes 90 to 100 % of the time that it may; of these, the one with most
    FLOPs is taken. For a `threshold`, it is the fastest. Each selection costs two
    copies of the model, and about a second for each kind and size of layer that is not
    in the table yet: with a new table, five to twenty seconds per layer of the network.

    Args:
        model: A built Functional or Sequential `keras.Model`, converted or not.
        keep: Float in (0, 1], the share of the `cost` that stays. Give this or
            `threshold`.
        threshold: Float >= 0. Scores are divided by the largest finite one (of the
            layer with `scope="local"`, else of all); groups under it leave.
        scores: Array of shape `(groups,)` in the numbering of `channel_groups(model)`,
            as the functions of `scores.channels` return it. Infinite scores stay.
            Defaults to `scores.channels.compensated(model, data)` with `data`, else to
            `scores.channels.l2_norm(model)`; channels that are masked
            (`layers.TrainedMask`) leave in any case then.
        data: Unlabelled samples for the scores. Where there are `scores`, it is not
            read.
        cost: What is counted: `"flops"`, `"params"`, `"channels"` (groups that may
            leave), or a `LatencyTable` (milliseconds).
        scope: `"local"`: groups are ranked within their layer, so that each layer loses
            the same share; `"global"`: all together. See `plans.per_cost` for scores
            by what a group costs.
        limits: A `Limits`.

    Returns:
        A `Plan` whose `channels` name every layer that makes channels and loses some.

    Raises:
        CannotReach: If `keep` can't be reached within the limits (a `ValueError`).
        ValueError: If an argument is out of its range, or `scores` or `data` do not fit
            the model.

    Example:

    >>> plan = keras_basisprune.select_channels(model, keep=0.5, data=images)
    >>> small = keras_basisprune.compensate(model, plan, images)
    """
    limits = check_record("limits", limits, Limits)
    keep, threshold = check_selection(keep, threshold, scope)
    check_cost(cost, "channels")
    traced = trace(model)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    masked = np.zeros(len(groups), bool)
    if scores is None:
        masked = _masked(traced, groups)
        scores = l2_norm(model) if data is None else compensated(model, data)
    scores = check_channel_scores(scores, len(groups))
    choice = ChannelChoice(traced, channels, groups, scores, masked, scope)
    if isinstance(cost, LatencyTable):
        quick = QuickChannels(model, traced, channels, choice, limits, cost)
        alive = quick.above(threshold) if keep is None else quick.within(keep)
    elif keep is None:
        alive = choice.above(threshold, limits)
    else:
        costs = ChannelCosts(traced, channels, cost)
        alive = choice.within(costs, keep, limits, cost)
    return choice.plan(alive)


def _masked(traced, groups) -> np.ndarray:
    """Boolean array of the groups that a layer has masked."""
    found = np.zeros(len(groups), bool)
    for weighed in trained_masks(traced).values():
        of = groups.layers.get(weighed.name, ())
        if weighed.kind == "channels" and len(of) == weighed.count:
            found[of[~weighed.mask]] = True
    return found
