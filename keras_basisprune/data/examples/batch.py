"""Some samples, with what belongs to them."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Batch:
    """Some samples, with what belongs to them.

    Attributes:
        inputs: List of arrays, one per input of the model, of one common length.
        targets: List of arrays, one per output of the model (`None` for an output
            without); `None` without any.
        weights: List of arrays, one per output, of a weight per sample (or position);
            `None` without.
    """

    inputs: list[np.ndarray]
    targets: list | None = None
    weights: list | None = None

    def __len__(self):
        return len(self.inputs[0])

    def __getitem__(self, chosen) -> "Batch":
        """Returns the samples of a slice, or of an array of numbers."""
        return Batch(
            [array[chosen] for array in self.inputs],
            _parts(self.targets, chosen),
            _parts(self.weights, chosen),
        )


def joined(batches) -> Batch:
    """Returns several batches as one."""
    if len(batches) == 1:
        return batches[0]
    inputs = [np.concatenate(a) for a in zip(*(b.inputs for b in batches), strict=True)]
    targets, weights = (
        _joined([getattr(b, name) for b in batches]) for name in ("targets", "weights")
    )
    return Batch(inputs, targets, weights)


def _parts(arrays, chosen):
    if arrays is None:
        return None
    return [None if array is None else array[chosen] for array in arrays]


def _joined(lists):
    if lists[0] is None:
        return None
    columns = zip(*lists, strict=True)
    return [None if c[0] is None else np.concatenate(c) for c in columns]
