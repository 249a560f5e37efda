"""Channels leave, and those that stay make up for them."""

from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.surgery.compensate import compensate


def compensated_plan(model, keep, data, cost="flops") -> Plan:
    """Chooses the channels that the others can least stand in for.

    Args:
        model: A `keras.Model`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"` or `"params"`.

    Returns:
        A `Plan` of channels, an equal share of each layer.
    """
    return select_channels(model, keep=keep, data=data, cost=cost)


def compensated_network(model, plan, data):
    """Prunes channels, and corrects what read them.

    Args:
        model: A `keras.Model`.
        plan: A `Plan` of channels.
        data: Unlabelled samples.

    Returns:
        A smaller `keras.Model`.
    """
    return compensate(model, plan, data, verbose=0)
