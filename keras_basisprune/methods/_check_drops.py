"""Budgets among the arguments."""

from keras_basisprune.utils.check_number import is_number
from keras_basisprune.utils.shown import shown


def check_drops(argument, drops, interval="(0, 1]"):
    """Raises `ValueError` unless a value is a tuple or list of increasing numbers.

    Args:
        argument: Name of the argument, for the message.
        drops: What should be at least one number.
        interval: The interval of each, as in `check_number`.

    Returns:
        A tuple of floats.
    """
    if isinstance(drops, tuple | list) and all(is_number(x, interval) for x in drops):
        found = tuple(map(float, drops))
        if found and all(a < b for a, b in zip(found, found[1:], strict=False)):
            return found
    raise ValueError(
        f"Expected `{argument}` to be increasing numbers in {interval}, at least one. "
        f"Received: {argument}={shown(drops)}. Pass, for example, "
        f"`{argument}=(0.01, 0.1, 0.9)`."
    )
