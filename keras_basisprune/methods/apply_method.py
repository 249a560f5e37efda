"""From a share to the smaller network, by a row of the table."""

import keras

from keras_basisprune.plan import Plan


def apply_method(
    method,
    prepared,
    *,
    keep,
    data,
    cost="flops",
    scores=None,
    limits=None,
    compensation=True,
) -> tuple[Plan, keras.Model]:
    """Plans what is kept, and carries it out.

    Args:
        method: A `Method`.
        prepared: What `method.prepare` returned, trained if `method.train` is there.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `method.scores` returned, or `None`.
        limits: A `Limits`, or `None`.
        compensation: Whether kernels are corrected when channels have left, by methods
            that do so.

    Returns:
        A pair of the `Plan` and the smaller `keras.Model`.

    Raises:
        CannotReach: If the share can't be reached.
        NothingToDecompose: If there is no layer of which bases could be taken.
    """
    options = {}
    if method.compensates and not compensation:
        options["compensation"] = False
    given = {
        "keep": keep,
        "data": data,
        "cost": cost,
        "scores": scores,
        "limits": limits,
    }
    if method.plan_and_carry_out:
        return method.plan_and_carry_out(prepared, **given, **options)
    plan = method.plan(prepared, **given)
    return plan, method.carry_out(prepared, plan, data=data, **options)
