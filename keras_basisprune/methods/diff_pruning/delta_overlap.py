"""What two tasks of one base have in common."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class DeltaOverlap:
    """How many weights two deltas change; only those at chosen positions count.

    Attributes:
        shared: Number of weights that both change.
        first: Number of weights that the first one changes.
        second: Number of weights that the second one changes.
        expected: Number that both would change if positions were drawn at random.
        same: Number of shared weights to which both give the same value.
    """

    shared: int
    first: int
    second: int
    expected: float
    same: int

    @classmethod
    def of(cls, first, second) -> "DeltaOverlap":
        """Compares two `TaskDelta`s of one base."""
        mine, its = ({c.place: c for c in d.changes if c.positions is not None}
                     for d in (first, second))  # fmt: skip
        shared = same = 0
        for place in mine.keys() & its.keys():
            a, b = mine[place], its[place]
            _, left, right = np.intersect1d(
                a.positions, b.positions, assume_unique=True, return_indices=True
            )
            shared += len(left)
            same += int(np.count_nonzero(a.values[left] == b.values[right]))
        expected = first.changed * second.changed / max(1, first.base_size)
        return cls(shared, first.changed, second.changed, expected, same)

    @property
    def share(self) -> float:
        """Shared weights, as a share of those that at least one of both changes."""
        return self.shared / max(1, self.first + self.second - self.shared)

    def __str__(self):
        return (
            f"{self.shared:,} weights in both, of {self.first:,} and {self.second:,} "
            f"({self.share:.1%} of their union; by chance {self.expected:,.0f})"
        )
