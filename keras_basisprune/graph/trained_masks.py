"""Find the layers of a model whose training says what may leave."""

import dataclasses

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.trace import Trace
from keras_basisprune.layers import TrainedMask


@dataclasses.dataclass(frozen=True)
class Weighed:
    """The bases or channels of one layer, and the layer that weighs them.

    Attributes:
        name: Name of the layer whose bases or channels they are; plans and scores go
            by it.
        kind: `"bases"` or `"channels"`.
        layer: The `TrainedMask` that holds their scales and mask.
    """

    name: str
    kind: str
    layer: TrainedMask

    @property
    def count(self) -> int:
        """How many there are, masked ones included."""
        return self.layer.scale.shape[0]

    @property
    def mask(self) -> np.ndarray:
        """Boolean array of shape `(count,)`: those that are not masked."""
        return self.layer.unmasked()

    @property
    def strength(self) -> np.ndarray:
        """Float64 array of shape `(count,)`: what each contributes; masked ones 0."""
        return self.layer.strength() * self.mask


def trained_masks(
    traced: Trace, required_of: str | None = None, argument: str = "model"
) -> dict[str, Weighed]:
    """Finds what a model weighs, in order of execution.

    Args:
        traced: The model's `Trace`.
        required_of: Name of the model, if there must be some.
        argument: Name of the argument that it came by, for the message.

    Returns:
        A dict from the name of the layer whose bases or channels are weighed to a
        `Weighed`. Empty for an ordinary model.

    Raises:
        ValueError: If bases could not leave (see `basis_pairs`), if two layers weigh
            what belongs to the same name, or if there is none and one is required.
    """
    basis_pairs(traced)  # refuses bases that could not leave
    found: dict[str, Weighed] = {}
    for call in traced.calls:
        if not isinstance(call.op, TrainedMask):
            continue
        kind, name = call.op.weighs
        if name in found and found[name].layer is not call.op:
            raise ValueError(
                f"Expected one layer to weigh what `{name}` makes. Received: two, "
                f"`{found[name].layer.name}` and `{call.op.name}`. Call "
                "`keras_basisprune.graph.flatten(model)` if they are of nested models; "
                "prune and fold the one before the other is made if they are not."
            )
        found[name] = Weighed(name, kind, call.op)
    if required_of is not None and not found:
        basis_pairs(traced, required_of, argument)  # which says so
    return found
