"""Double pruning: channels first, then bases of the remaining network."""

from keras_basisprune.measure import LatencyTable, predicted_latency
from keras_basisprune.measure import cost as measured_cost
from keras_basisprune.methods.basis_regression import (
    regression_cut,
    regression_network,
    regression_plan,
)
from keras_basisprune.methods.compensated_channels import (
    compensated_network,
    compensated_plan,
    compensated_scores,
)
from keras_basisprune.plan import Plan
from keras_basisprune.plans.measured_path import MeasuredPath

# How much of a cut is made by channels, where it was not measured.
_SPLIT = 1 / 3


def double_split(scores) -> float:
    """Returns how much of a cut is made by channels.

    Args:
        scores: What `compensated_scores` returned.

    Returns:
        The exponent of a share: channels are pruned to `keep ** split`, and bases do
        the rest.
    """
    return scores.split() if isinstance(scores, MeasuredPath) else _SPLIT


def double_cut(
    model,
    *,
    keep,
    data,
    cost="flops",
    scores=None,
    limits=None,
    compensation=True,
):
    """Removes channels, then chooses and fits bases of the remaining network.

    Channels are chosen by measured sensitivity, as `compensated_plan` does, and bases
    by energy per cost. The sensitivity of both decides how a cut is divided between
    them (`double_split`).

    Args:
        model: A `keras.Model` that is not converted.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `compensated_scores` returned, if that is known already.
        limits: A `Limits`, or `None`.
        compensation: Whether to correct kernels when channels are removed.

    Returns:
        A pair of the `Plan` (of channels, and of bases of the remaining network) and
        the converted, smaller `keras.Model`.
    """
    given = model, keep, data, cost, scores, limits, compensation
    channels, slim, rest = _slim(*given)
    bases, network = regression_cut(
        slim, keep=rest, data=data, cost=cost, limits=limits
    )
    return Plan(bases=bases.bases, channels=channels.channels), network


def double_plan(
    model, *, keep, data, cost="flops", scores=None, limits=None, compensation=True
) -> Plan:
    """Chooses channels, and bases of the network without the removed channels.

    Args:
        model: As in `double_cut`, like all other arguments.

    Returns:
        A `Plan` of channels, and of bases of the remaining network.
    """
    given = model, keep, data, cost, scores, limits, compensation
    channels, slim, rest = _slim(*given)
    bases = regression_plan(slim, keep=rest, data=data, cost=cost, limits=limits)
    return Plan(bases=bases.bases, channels=channels.channels)


def double_network(model, plan, *, data, compensation=True):
    """Carries out both parts of a plan, one after the other.

    Args:
        model: A `keras.Model` that is not converted.
        plan: A `Plan` as `double_plan` makes it.
        data: Unlabelled samples.
        compensation: Whether to correct kernels when channels are removed.

    Returns:
        A converted, smaller `keras.Model`.
    """
    channels = Plan(channels=plan.channels)
    slim = compensated_network(model, channels, data=data, compensation=compensation)
    return regression_network(slim, Plan(bases=plan.bases), data=data)


def _slim(model, keep, data, cost, scores, limits, compensation):
    """Returns the plan of channels, the pruned network, and what to keep of that."""
    given = {"data": data, "cost": cost, "limits": limits}
    if scores is None:
        scores = compensated_scores(model, data=data)
    share = keep ** double_split(scores)
    channels = compensated_plan(model, keep=share, scores=scores, **given)
    slim = compensated_network(model, channels, data=data, compensation=compensation)
    return channels, slim, min(1.0, keep * _total(model, cost) / _total(slim, cost))


def _total(model, cost) -> float:
    """Returns the cost of a whole model, in the unit that shares are counted in."""
    if isinstance(cost, LatencyTable):
        return predicted_latency(model, cost)
    return getattr(measured_cost(model), cost)
