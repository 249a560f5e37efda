"""Channel scaling as a row of the table of methods."""

import functools

from keras_basisprune.methods.channel_scaling import (
    LEARNING_RATE,
    THRESHOLD,
    channel_scaling,
    channel_scaling_network,
    channel_scaling_plan,
    channel_scaling_training,
)
from keras_basisprune.methods.method import Method
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number


def channel_scaling_method(
    *,
    scales: str = "fold",
    threshold: float = THRESHOLD,
    learning_rate: float = LEARNING_RATE,
) -> Method:
    """Channel scaling as a row of `METHODS`, with choices of one's own.

    Args:
        scales: `"fold"` or `"select"`: what becomes of the scales of channels that
            stay.
        threshold: Float in [0, 1): scales under this share of the largest are masked.
        learning_rate: Initial rate of Adam, of scales and head.

    Returns:
        A `Method`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> method = keras_basisprune.methods.channel_scaling_method(scales="select")
    >>> keras_basisprune.methods.prune_iteratively(model, method, (x, y))
    """
    check_choice("scales", scales, ("fold", "select"))
    remedy = "At 1 and above no channel of any layer would be left. Start with 0.5."
    expected = "a number in [0, 1)"
    check_number("threshold", threshold, "[0, 1)", expected, remedy)
    remedy = "Start with 1e-2."
    check_number("learning_rate", learning_rate, "(0, inf)", remedy=remedy)
    return Method(
        name="channel_scaling",
        title="Channel scaling",
        source=(
            "Wong, Kashyap, Moradi 2021, Channel Scaling: A Scale-and-Select Approach "
            "for Efficient Transfer Learning (arXiv:2103.12228), section 2"
        ),
        needs=("labels", "training"),
        removes=("channels",),
        prepare=channel_scaling,
        train=functools.partial(
            channel_scaling_training, threshold=threshold, learning_rate=learning_rate
        ),
        plan=channel_scaling_plan,
        carry_out=functools.partial(channel_scaling_network, scales=scales),
    )
