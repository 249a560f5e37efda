"""Channels first, then bases of what is left."""

from keras_basisprune.measure import cost as measured_cost
from keras_basisprune.methods.basis_regression import (
    regression_network,
    regression_plan,
)
from keras_basisprune.methods.compensated_channels import (
    compensated_network,
    compensated_plan,
)
from keras_basisprune.plan import Plan

# How much of a cut channels take: they leave down to `keep ** SPLIT`.
SPLIT = 1 / 3


def double_plan(model, keep, data, cost="flops") -> Plan:
    """Chooses channels, and bases of the network without those that leave.

    Args:
        model: A `keras.Model` that is not converted.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"` or `"params"`.

    Returns:
        A `Plan` of channels, and of bases of what is left then.
    """
    channels = compensated_plan(model, keep**SPLIT, data, cost)
    slim = compensated_network(model, channels, data)
    before, now = (getattr(measured_cost(m), cost) for m in (model, slim))
    bases = regression_plan(slim, min(1.0, keep * before / now), data, cost)
    return Plan(bases=bases.bases, channels=channels.channels)


def double_network(model, plan, data):
    """Carries both parts of a plan out, one after the other.

    Args:
        model: A `keras.Model` that is not converted.
        plan: A `Plan` as `double_plan` makes it.
        data: Unlabelled samples.

    Returns:
        A converted, smaller `keras.Model`.
    """
    slim = compensated_network(model, Plan(channels=plan.channels), data)
    return regression_network(slim, Plan(bases=plan.bases), data)
