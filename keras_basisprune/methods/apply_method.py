"""Makes a smaller network by a method."""

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
    """Makes a plan by a method, and carries it out.

    Args:
        method: A `Method`.
        prepared: What `method.prepare` returned, trained if there is `method.train`.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Unlabelled samples.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `method.scores` returned, or `None`.
        limits: A `Limits`, or `None`.
        compensation: Whether methods that correct kernels when channels are removed do
            so.

    Returns:
        A pair of the `Plan` and the smaller `keras.Model`.

    Raises:
        CannotReach: If the share can't be reached.
        NothingToDecompose: If no layer can be decomposed.
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
