"""Channels with the largest trained strengths, for a share of the cost."""

import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.rewrite import rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask
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
        A `Plan` of channels. Channels that are not weighed are kept.
    """
    if keep is None:
        return Plan.from_masks(prepared)
    plain = without_channel_masks(prepared)  # whose weights are not those of the result
    traced = trace(plain)
    groups = groups_of(traced, channel_map(traced))
    scores = np.full(len(groups), np.inf)
    for part in trained_masks(trace(prepared)).values():
        if part.kind == "channels":
            # What is masked is removed first; closed gates are ranked by their logits.
            weak = ~TrainedMask.unmasked(part.layer)
            scores[groups.layers[part.name]] = np.where(weak, 0, part.layer.strength())
    return select_channels(
        plain, keep=keep, scores=scores, cost=cost, scope="global", limits=limits
    )


def without_channel_masks(model):
    """Returns a copy of a model without the layers that weigh channels."""
    return rewrite(model, lambda layer, name: [] if _weighs_channels(layer) else None)


def _weighs_channels(layer):
    return isinstance(layer, TrainedMask) and layer.weighs[0] == "channels"
