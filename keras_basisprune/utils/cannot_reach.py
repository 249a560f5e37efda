"""The error of a share that can't be had."""


class CannotReach(ValueError):
    """So little can't be left: what may leave a network is less than was asked for."""
