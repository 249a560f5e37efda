"""Makes a `Plan` (ranks and widths) of scores and a budget or a threshold."""

from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.per_cost import per_cost
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.plans.select_channels import select_channels

__all__ = ["Kept", "Limits", "Plan", "per_cost", "select_bases", "select_channels"]
