"""Channels with the largest trained strengths, for a share of the cost."""

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rewrite import rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask
from keras_basisprune.measure import LatencyTable
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_channels import select_channels


def strongest_channels(prepared, *, keep, cost="flops", limits=None) -> Plan:
    """Chooses channels by the strengths of the layers that weigh them.

    Args:
        prepared: A `keras.Model` with layers that weigh channels, trained.
        keep: Float in (0, 1], the share of the cost to keep, without these layers;
            `None` for the channels that are not masked.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels. Channels that are not weighed are kept. What is masked is
        removed first, and all of it where no more is needed than that.
    """
    if keep is None:
        return Plan.from_masks(prepared)
    plain = without_channel_masks(prepared)  # whose weights are not those of the result
    traced = trace(plain)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    scores, masked = np.full(len(groups), np.inf), np.zeros(len(groups), bool)
    for part in trained_masks(trace(prepared)).values():
        if part.kind == "channels":
            of, weak = groups.layers[part.name], ~TrainedMask.unmasked(part.layer)
            # Closed gates are ranked by their logits.
            scores[of] = np.where(weak, 0, part.layer.strength())
            masked[of] = weak
    if masked.any() and not isinstance(cost, LatencyTable):
        costs = ChannelCosts(traced, channels, cost)
        if costs(~masked) <= keep * costs(np.ones(len(groups), bool)):
            return Plan.from_masks(prepared)
    return select_channels(
        plain, keep=keep, scores=scores, cost=cost, scope="global", limits=limits
    )


def without_channel_masks(model):
    """Returns a copy of a model without the layers that weigh channels."""
    return rewrite(model, lambda layer, name: [] if _weighs_channels(layer) else None)


def _weighs_channels(layer):
    return isinstance(layer, TrainedMask) and layer.weighs[0] == "channels"
