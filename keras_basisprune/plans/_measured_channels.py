"""Chooses channels by what a network's outputs lose without them."""

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.measure import LatencyTable
from keras_basisprune.measure.channel_costs import ChannelCosts
from keras_basisprune.plan import Plan
from keras_basisprune.plans._measured_choice import MeasuredChoice
from keras_basisprune.plans._quick_channels import QuickChannels


def measured_channels(model, found, *, keep, cost, limits, evenness=0.0) -> Plan:
    """Chooses the channels whose removal loses least, as `select_channels` does.

    Args:
        model: A `keras.Model`.
        found: A `Sensitivity` of this model.
        keep: Float in (0, 1].
        cost: As in `select_channels`.
        limits: A `Limits`.
        evenness: As in `MeasuredChoice`.

    Returns:
        A `Plan` of channels.

    Raises:
        CannotReach: If the share can't be reached.
        ValueError: If the record is of another model.
    """
    traced = trace(model)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    choice = MeasuredChoice(traced, channels, groups, found, evenness)
    if isinstance(cost, LatencyTable):
        quick = QuickChannels(model, traced, channels, choice, limits, cost)
        return choice.plan(quick.within(keep))
    costs = ChannelCosts(traced, channels, cost)
    return choice.plan(choice.within(costs, keep, limits, cost))
