"""Chooses channels in steps, measuring the network again after each cut."""

import keras

from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import check_model
from keras_basisprune.measure import LatencyTable
from keras_basisprune.plan import Plan
from keras_basisprune.plans.check_selection import check_cost
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.measured_path import MeasuredPath
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose


def select_in_steps(
    model: keras.Model,
    data: Data,
    *,
    keep: float,
    step: float = 0.15,
    cost: str | LatencyTable = "flops",
    limits: Limits | None = None,
    verbose: Verbose = "auto",
) -> Plan:
    """Chooses the channels to keep by measured sensitivity, in several steps.

    `select_channels(sensitivity=...)` relies on what was measured of the whole network,
    where one layer was cut at a time. Here the network is cut and compensated on the
    way, at `1 - step` of the cost, `(1 - step)^2`, and so on; there the
    sensitivity is measured again, against the outputs of `model`, and decides on the
    next step. Time is that of a `sensitivity` and a `compensate` per step.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: A few hundred unlabelled samples.
        keep: Float in (0, 1], the share of the `cost` to keep.
        step: Float in (0, 1], the share of the remaining cost that is removed between
            two measurements. 1 measures only `model` itself.
        cost: As in `select_channels`.
        limits: A `Limits`.
        verbose: Whether to show progress bars: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A `Plan` for `model`. Nothing of it is carried out yet.

    Raises:
        CannotReach: If `keep` can't be reached within the limits (a `ValueError`).
        ValueError: If an argument is out of its range, or `data` do not fit the model.

    Example:

    >>> plan = keras_basisprune.plans.select_in_steps(model, images, keep=0.5)
    >>> small = keras_basisprune.compensate(model, plan, images)
    """
    verbose = check_verbose(verbose)
    check_model("model", model)
    check_finite_weights(model)
    limits = check_record("limits", limits, Limits)
    expected = "a float in (0, 1], the share of the cost to keep"
    remedy = "0.5 keeps half."
    keep = check_number("keep", keep, "(0, 1]", expected, remedy)
    expected = "a float in (0, 1], the share that a step removes"
    step = check_number("step", step, "(0, 1]", expected, "0.15 is a good start.")
    check_cost(cost, "channels")
    return MeasuredPath(model, data, step, verbose=verbose).plan(keep, cost, limits)
