"""Bases of the layers' outputs, fitted by regression, layer after layer."""

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.methods._basis_source import BasisSource
from keras_basisprune.methods._halves import is_half_of
from keras_basisprune.methods.convert import convert, ranks_for, with_bases
from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.scores.to_decompose import to_decompose


def regression_scores(model, *, data):
    """Computes all bases of the outputs of a model's layers.

    Args:
        model: A `keras.Model` that is not converted.
        data: Unlabelled samples.

    Returns:
        A converted `keras.Model` of full rank.
    """
    return _converted(model, data)


def regression_plan(
    model, *, keep, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Chooses the leading bases of the layers' outputs, by energy per cost.

    Layers that were decomposed and folded before are not changed: their rank is a
    number of channels now.

    Args:
        model: A `keras.Model` that is not converted.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `regression_scores` returned, if that is known already.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of bases.
    """
    whole = regression_scores(model, data=data) if scores is None else scores
    return select_bases(whole, keep=keep, cost=cost, limits=limits)


def regression_network(model, plan, *, data=None):
    """Fits bases for a plan, layer after layer.

    Args:
        model: A `keras.Model` that is not converted.
        plan: A `Plan` of leading bases.
        data: Unlabelled samples.

    Returns:
        A converted `keras.Model` with those ranks; a copy of `model` if the plan names
        no bases.
    """
    if not plan.bases:
        return flatten(model)
    return _converted(model, data, plan, "regression")


def regression_cut(model, *, keep, data, cost="flops", limits=None):
    """Chooses bases and fits them: both in one, from one reading of the data.

    Args:
        model: As in `regression_plan`, like all other arguments.

    Returns:
        A pair of the `Plan` and what `regression_network` makes of it.
    """
    found = to_decompose(model, None, is_half_of(model))
    source = BasisSource(model, found, "regression", data, False, quick=True)
    plan = ranks_for(model, found, source, keep, cost, data, limits)
    if not plan.bases:
        return plan, flatten(model)
    return plan, with_bases(model, found, source, plan, "regression")


def _converted(model, data, plan=None, basis=None):
    return convert(
        model,
        plan,
        basis=basis,
        exclude=is_half_of(model),
        data=data,
        verbose=0,
    )
