"""Thresholds that change during training."""

import dataclasses
import math

import keras


@dataclasses.dataclass(frozen=True)
class Target:
    """The threshold or share that a schedule demands at one step.

    Attributes:
        active: Whether anything is to be masked at this step.
        threshold: Scores under it are masked; `None` if `ratio` is given.
        ratio: Share of bases to be masked; `None` if `threshold` is given.
    """

    active: bool
    threshold: float | None = None
    ratio: float | None = None


def target_at(schedule, step) -> Target:
    """Evaluates a threshold or schedule.

    Args:
        schedule: The threshold, as a number or a callable of the step that returns one
            (all of `keras.optimizers.schedules` do); or a callable that returns a pair
            `(active, sparsity)`, as the pruning schedules of
            `tensorflow_model_optimization` do, where `sparsity` is the share of bases
            to be masked.
        step: Integer, the number of training steps so far.

    Returns:
        A `Target`.

    Raises:
        ValueError: If the schedule returns anything else, or a value out of range.

    Example:

    >>> ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 0.1)
    >>> round(target_at(ramp, 500).threshold, 3)
    0.05
    """
    value = schedule(step) if callable(schedule) else schedule
    if isinstance(value, tuple | list) and len(value) == 2:
        active, ratio = bool(value[0]), _number(value[1], schedule, step)
        if not 0 <= ratio <= 1:
            raise ValueError(
                "Expected `threshold`, a schedule of (active, sparsity), to give a "
                f"sparsity in [0, 1]. Received: sparsity={ratio} at step {step}."
            )
        return Target(active, ratio=min(ratio, 1 - 1e-9))
    threshold = _number(value, schedule, step)
    if not 0 <= threshold < math.inf:
        raise ValueError(
            "Expected `threshold` to be a number >= 0 or a schedule of such. "
            f"Received: {threshold} at step {step}. 0 masks nothing, 1 all but the "
            "strongest basis."
        )
    return Target(True, threshold=threshold)


def _number(value, schedule, step) -> float:
    try:
        if isinstance(value, bool | str):
            raise TypeError("neither a number nor a pair")
        return float(keras.ops.convert_to_numpy(value))
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ValueError(
            "Expected `threshold` to be a number, or a callable of the step that "
            "returns a number or a pair (active, sparsity). "
            f"Received: threshold={schedule!r}, which gave {value!r} at step {step}."
        ) from error
