"""How rows of the table choose what is kept: the calls to `plans/`, in one place."""

import dataclasses

from keras_basisprune.measure import LatencyTable
from keras_basisprune.measure import cost as measured_cost
from keras_basisprune.methods._traces import remembered_trace
from keras_basisprune.plan import Plan
from keras_basisprune.plans.allocate import allocate
from keras_basisprune.plans.quick_channels import quick_channels
from keras_basisprune.plans.quick_ranks import quick_ranks
from keras_basisprune.plans.select_channels import ChannelLimits, select_channels
from keras_basisprune.utils.cannot_reach import CannotReach

_STEPS = (1, 8, 16, 32)  # multiples that widths are tried at, for latency


def select_widths(model, *, keep, scores, cost, limits, scope="local") -> Plan:
    """Chooses channels.

    Args:
        model: A `keras.Model`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        scores: An array, of `scores.channels`.
        cost: `"flops"`, `"params"`, or a `LatencyTable`: the share is of the FLOPs
            then, and of several multiples the one that runs fastest is taken.
        limits: A `ChannelLimits`, or `None`.
        scope: As in `select_channels`.

    Returns:
        A `Plan` of channels.

    Raises:
        CannotReach: If the share can't be reached.
    """
    limits, plans, missed = limits or ChannelLimits(), [], None
    steps, table = {limits.round_to}, _table(cost)
    if table:
        steps |= {step for step in _STEPS if step % limits.round_to == 0}
    for step in sorted(steps):
        try:
            plan = select_channels(
                model,
                scores,
                keep,
                _counted(cost),
                scope,
                limits=dataclasses.replace(limits, round_to=step),
                _traced=remembered_trace(model),
            )
            plans.append(plan)
        except CannotReach as error:
            missed = error
    if missed is not None and not plans:
        raise missed
    return quick_channels(model, plans, table) if table else plans[0]


def select_ranks(converted, *, keep, cost, limits) -> Plan:
    """Chooses bases of a converted model.

    Args:
        converted: What `convert` returned, of full rank.
        keep: Float in (0, 1], the share of the model's cost to keep.
        cost: As in `select_widths`; with a `LatencyTable`, ranks are raised to what
            runs fastest.
        limits: A `ChannelLimits`, or `None`.

    Returns:
        A `Plan` of bases.

    Raises:
        CannotReach: If the share can't be reached.
    """
    limits = limits or ChannelLimits()
    plan = allocate(
        converted,
        keep,
        _counted(cost),
        "model",
        min_rank=limits.min_channels,
        round_to=limits.round_to,
        _traced=remembered_trace(converted),
    )
    table = _table(cost)
    return quick_ranks(converted, plan, table) if table else plan


def spent(model, cost) -> float:
    """What a model costs, in the unit that shares are counted in."""
    found = measured_cost(model, _traced=remembered_trace(model))
    return getattr(found, _counted(cost))


def _table(cost) -> LatencyTable | None:
    return cost if isinstance(cost, LatencyTable) else None


def _counted(cost) -> str:
    return "flops" if isinstance(cost, LatencyTable) else cost
