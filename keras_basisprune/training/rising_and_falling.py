"""A learning rate that rises from zero, and falls to zero again."""

import keras


def rising_and_falling(rate, steps, warmup):
    """Returns the schedule: a line up, then half a cosine down.

    Args:
        rate: Float, the highest rate.
        steps: Integer, the number of all steps.
        warmup: Float in [0, 1], the share of the steps in which the rate rises. The
            first step has rate zero then, so that nothing changes but the memory of
            the optimizer.

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.
    """
    up = round(warmup * steps)
    if not up:
        return keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - up), warmup_target=rate, warmup_steps=up
    )
