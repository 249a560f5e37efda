"""What is known of a network after it has been measured again where it was cut."""

import dataclasses

import numpy as np

from keras_basisprune.plan import Plan
from keras_basisprune.plans.sensitivity.loss_curve import LossCurve
from keras_basisprune.plans.sensitivity.record import Sensitivity


def moved_to(before: Sensitivity, plan: Plan, after: Sensitivity) -> Sensitivity:
    """Joins what was measured of a network, and of the same after a cut.

    Args:
        before: Of the network.
        plan: The plan by which it was cut, made by `before`.
        after: Of the result, whose losses were measured against the same outputs.

    Returns:
        A `Sensitivity` of the network, in the numbering of its channels. Its curves
        are those of `before` up to the cut, and continued by those of `after`, but not
        below `before`: in a network that has been cut, a layer often seems to be of no
        use, since with fewer inputs the next one learns less of its samples by heart.
        Its prediction for `plan` is the loss that was measured there.
    """
    further = {curve.layer: curve for curve in after.curves}
    curves, there = [], 0.0
    for curve in before.curves:
        kept = plan.channels.get(curve.layer)
        if kept is not None:
            there += curve.at(kept.indices)
        if curve.layer in further:
            curve = _joined(curve, kept, further[curve.layer])
        curves.append(curve)
    return Sensitivity(tuple(curves), after.loss - there)


def _joined(curve, kept, further) -> LossCurve:
    """Continues a curve of channels by that of the layer after a cut."""
    indices = range(curve.total) if kept is None else kept.indices
    left = [place for place in curve.order if place not in set(indices)]
    count, expected = len(left), curve.expected()
    order = [*left, *(indices[place] for place in further.order)]
    last = curve.errors[count - 1] if count else 0.0
    errors = [*curve.errors[:count], *(last + error for error in further.errors)]
    known = {
        number: loss
        for number, loss in zip(curve.removed, curve.losses, strict=True)
        if number < count
    }
    loss = float(expected[count])
    known |= {count: loss} if count else {}
    known |= {
        count + number: max(loss + more, float(expected[count + number]))
        for number, more in zip(further.removed, further.losses, strict=True)
    }
    losses = np.maximum.accumulate(np.array(list(known.values()) or [0.0]))
    return dataclasses.replace(
        curve,
        order=tuple(int(place) for place in order),
        errors=tuple(map(float, errors)),
        removed=tuple(known),
        losses=tuple(map(float, losses[: len(known)])),
    )
