"""The name of a cut of a network."""

from typing import NamedTuple


class CutKey(NamedTuple):
    """What names a cut of a network.

    Attributes:
        keep: Float, the share that is kept.
        method: The name of the `Method`.
        again: Whether it is fitted again, on all samples.
    """

    keep: float
    method: str
    again: bool = False
