"""Measures a network on samples that are divided already."""

from keras_basisprune.plans.sensitivity._base_curves import base_curves
from keras_basisprune.plans.sensitivity._channel_curves import channel_curves
from keras_basisprune.plans.sensitivity._channel_order import channel_order
from keras_basisprune.plans.sensitivity._judged_network import working_copy
from keras_basisprune.plans.sensitivity.record import Sensitivity

# Shares of a layer that are kept, the share of the samples that corrections are
# fitted on, and the strength of their ridge, unless others are asked for.
SHARES, FITTED, RIDGE = (0.9, 0.75, 0.5, 0.25), 0.6, 0.01


def measured_parts(
    model,
    fitted,
    judged,
    shares,
    ridge,
    verbose,
    *,
    what="channels",
    scores=None,
    original=None,
) -> Sensitivity:
    """Measures curves, as `sensitivity` does, with checked arguments.

    Args:
        model: The `keras.Model`.
        fitted: Batches to fit on, as `split_samples` returns them.
        judged: Batches to judge by.
        shares: Descending floats in (0, 1).
        ridge: Float > 0.
        verbose: Whether to show a progress bar.
        what: As in `sensitivity`.
        scores: As in `sensitivity`.
        original: As in `sensitivity`.

    Returns:
        A `Sensitivity`.
    """
    curves, loss = [], 0.0
    if what != "bases":
        copy = working_copy(model)
        order = channel_order(model, copy, scores, fitted + judged, ridge)
        curves, loss = channel_curves(
            copy, order, original, fitted, judged, shares, ridge, verbose
        )
    if what != "channels":
        copy = working_copy(model, folded=False)
        found, loss = base_curves(copy, original, fitted, judged, shares, verbose)
        curves = [*curves, *found]
    return Sensitivity(tuple(curves), loss)
