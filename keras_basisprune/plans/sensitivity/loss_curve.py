"""How much a network's outputs lose as one layer is cut."""

import dataclasses

import numpy as np

_LEAST = 1e-9  # losses are interpolated by their logarithms
_TINY = 1e-7  # below this share of the largest loss, differences are rounding


@dataclasses.dataclass(frozen=True)
class LossCurve:
    """What the outputs of a network lose as one layer is cut, and no other.

    Attributes:
        layer: The layer's name in plans.
        kind: `"channels"` or `"bases"`.
        total: Number of its output channels, or of its bases.
        order: Those that may leave, in the order that they leave: positions of
            channels in the layer's output, or numbers of bases.
        errors: For each of `order`, the error of what reads the channels (or of the
            layer's outputs) once it has left, in any unit. Losses are interpolated
            along these errors, since they grow almost in proportion.
        removed: Increasing integers: how many had left, in each measurement.
        losses: The loss at each of these, not negative.
    """

    layer: str
    kind: str
    total: int
    order: tuple[int, ...]
    errors: tuple[float, ...]
    removed: tuple[int, ...]
    losses: tuple[float, ...]

    def expected(self) -> np.ndarray:
        """Returns the loss for any number of channels or bases that have left.

        It does not decrease. Between measurements, it is a power of the error; before
        the first one, it is proportional to the error.

        Returns:
            A float64 array of shape `(len(order) + 1,)`, 0 first.
        """
        found = np.zeros(len(self.order) + 1)
        if not self.removed:
            return found
        errors = np.maximum.accumulate(np.array(self.errors))
        errors = np.log(np.maximum(errors, 1e-12 * (errors[-1] or 1.0) + 1e-30))
        losses = np.maximum.accumulate(np.array(self.losses))
        losses = np.log(np.maximum(losses, _LEAST + _TINY * losses[-1]))
        known = errors[np.array(self.removed) - 1]
        between = np.interp(errors, known, losses)
        before, behind = errors < known[0], errors > known[-1]
        between[before] = losses[0] + (errors[before] - known[0])
        power = 1.0
        if len(known) > 1 and known[-1] > known[-2]:
            power = max(1.0, (losses[-1] - losses[-2]) / (known[-1] - known[-2]))
        between[behind] = losses[-1] + power * (errors[behind] - known[-1])
        found[1:] = np.exp(between)
        return np.maximum.accumulate(found)

    def at(self, kept) -> float:
        """Returns the expected loss if only some channels or bases are kept.

        Args:
            kept: Their positions, a sequence of integers.
        """
        left = ~np.isin(np.array(self.order), np.asarray(kept))
        return float(self.expected()[np.count_nonzero(left)])
