"""Checks of the argument `sensitivity` of both selections."""

from keras_basisprune.plans.sensitivity import Sensitivity
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.shortened import shortened
from keras_basisprune.utils.shown import shown


def check_measured(sensitivity, threshold, scores):
    """Checks `sensitivity`, which goes with `keep` and without `scores`."""
    remedy = "Measure one with `keras_basisprune.plans.sensitivity(model, data)`."
    check_kind("sensitivity", sensitivity, Sensitivity, remedy)
    for name, value in (("threshold", threshold), ("scores", scores)):
        if value is not None:
            raise ValueError(
                f"Expected `{name}` to be None together with `sensitivity`, which "
                f"decides what is removed. Received: {name}={shown(value)}. Pass "
                "`keep` alone."
            )


def curves_of(sensitivity, kind, sizes) -> list:
    """Returns the curves of one kind, which fit a model.

    Args:
        sensitivity: A `Sensitivity`.
        kind: `"channels"` or `"bases"`.
        sizes: Dict from names of layers to what the model has of these.

    Raises:
        ValueError: If there is no such curve, or the record is of another model.
    """
    curves = [curve for curve in sensitivity.curves if curve.kind == kind]
    if not curves:
        raise ValueError(
            f"Expected `sensitivity` to hold curves of {kind}. Received: "
            f"{len(sensitivity.curves)} curves, none of {kind}. Measure them with "
            f"`sensitivity(model, data, what={kind!r})`."
        )
    for curve in curves:
        size = sizes.get(curve.layer, 0)
        if size != curve.total:
            has = f"has {size}" if size else "is not there"
            raise ValueError(
                "Expected `sensitivity` to be measured of this model. Received: a "
                f"record with {curve.total} {kind} of `{curve.layer}`, which {has}; "
                f"there are [{shortened(map(repr, sizes))}]. Measure this model."
            )
    return curves
