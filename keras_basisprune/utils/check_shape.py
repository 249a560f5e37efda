"""Shapes among the arguments."""

import operator

import numpy as np

from keras_basisprune.utils.shown import shown


def check_shape(argument, value) -> tuple:
    """Raises `ValueError` unless a value can be the shape of a sample.

    Args:
        argument: Name of the argument, for the message.
        value: What should be a tuple or list of positive integers, without the batch
            axis. `None` stands for an unknown size.

    Returns:
        The shape, as a tuple of `int` and `None`.
    """
    try:
        if not isinstance(value, tuple | list | np.ndarray):
            raise TypeError
        sizes = tuple(x if x is None else operator.index(x) for x in value)
    except TypeError:
        sizes = ()
    if sizes and all(x is None or 0 < x < 2**31 for x in sizes):
        return sizes
    raise ValueError(
        f"Expected `{argument}` to be the shape of one sample, a tuple of positive "
        f"integers. Received: {argument}={shown(value)}. Pass (96, 96, 3), say."
    )
