"""How long a search trains networks that round."""

import math

_SHARE = 1 / 3


def quantized_epochs(recovery) -> int:
    """Returns the epochs of quantization-aware training after each other training.

    Args:
        recovery: A `Recovery`, or `None` for no training.

    Returns:
        A third of the other epochs, at least one; 0 without `recovery.quantize`.
    """
    if recovery is None or not recovery.quantize:
        return 0
    return math.ceil(_SHARE * recovery.epochs)
