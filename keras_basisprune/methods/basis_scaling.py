"""What scales say of bases, and budgets for them."""

from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_bases import select_bases


def basis_plan(prepared, keep=None, data=None, cost="flops") -> Plan:
    """Chooses bases of a converted model, by its masks or by a budget.

    Args:
        prepared: What `convert` returned, trained or not.
        keep: Float in (0, 1], the share of the model's cost to keep, by energy per
            cost (`select_bases`); `None` for the bases that are not masked.
        data: Not needed.
        cost: `"flops"` or `"params"`.

    Returns:
        A `Plan` of bases.
    """
    if keep is None:
        return Plan.from_masks(prepared)
    return select_bases(prepared, keep=keep, cost=cost)
