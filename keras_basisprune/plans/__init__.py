"""Makes a `Plan` (ranks and widths) of scores and a budget or a threshold."""

from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.per_cost import per_cost
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.plans.select_in_steps import select_in_steps
from keras_basisprune.plans.sensitivity import (
    LossCurve,
    Sensitivity,
    plot_sensitivity,
    sensitivity,
)

__all__ = [
    "Kept",
    "Limits",
    "LossCurve",
    "Plan",
    "Sensitivity",
    "per_cost",
    "plot_sensitivity",
    "select_bases",
    "select_channels",
    "select_in_steps",
    "sensitivity",
]
