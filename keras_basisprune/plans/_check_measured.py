"""Checks of the argument `sensitivity` of both selections."""

from keras_basisprune.plans.sensitivity import Sensitivity
from keras_basisprune.utils.check_kind import check_kind
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
