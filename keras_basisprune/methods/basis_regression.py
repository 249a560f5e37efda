"""Bases of the layers' outputs, each layer fitted after those before it."""

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.methods.convert import convert
from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_bases import select_bases


def regression_plan(model, keep, data=None, cost="flops") -> Plan:
    """Chooses the leading bases of the layers' outputs, by energy per cost.

    Args:
        model: A `keras.Model` that is not converted.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"` or `"params"`.

    Returns:
        A `Plan` of bases.
    """
    return select_bases(model, keep=keep, data=data, cost=cost)


def regression_network(model, plan, data=None):
    """Fits bases for a plan, layer after layer.

    Args:
        model: A `keras.Model` that is not converted.
        plan: A `Plan` of leading bases.
        data: Unlabelled samples.

    Returns:
        A converted `keras.Model` with those ranks. One whose plan names nothing is a
        copy of `model`.
    """
    if not plan.bases:
        return flatten(model)
    return convert(model, plan, basis="regression", data=data, verbose=0)
