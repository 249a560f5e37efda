"""Finds the layers of a model with trained scales and masks."""

import dataclasses

import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.trace import Call, Trace
from keras_basisprune.layers import JoinedMasks, TrainedMask


@dataclasses.dataclass(frozen=True)
class MaskedPart:
    """The bases or channels of one layer, and the layer that scales them.

    Attributes:
        name: Name of the layer whose bases or channels they are; plans and scores use
            it.
        kind: `"bases"` or `"channels"`.
        layer: The `TrainedMask` that holds their scales and mask.
    """

    name: str
    kind: str
    layer: TrainedMask

    @property
    def count(self) -> int:
        """Number of bases or channels, masked ones included."""
        return self.layer.scale.shape[0]

    @property
    def mask(self) -> np.ndarray:
        """Boolean array of shape `(count,)`: those that are not masked."""
        return self.layer.unmasked()

    @property
    def strength(self) -> np.ndarray:
        """Float64 array of shape `(count,)`: what each contributes; 0 if masked."""
        return self.layer.strength() * self.mask


def trained_masks(
    traced: Trace, required_of: str | None = None, argument: str = "model"
) -> dict[str, MaskedPart]:
    """Finds the bases and channels with trained masks, in order of execution.

    Args:
        traced: The model's `Trace`.
        required_of: Name of the model, if it must have trained masks.
        argument: Name of the argument that held the model, for the message.

    Returns:
        A dict from the name of the layer whose bases or channels are scaled to a
        `MaskedPart`. Empty for an ordinary model.

    Raises:
        ValueError: If bases could not be removed (see `basis_pairs`), if two layers
            scale the bases or channels of one layer, or if the model has no trained
            mask and one is required.
    """
    basis_pairs(traced)  # raises if bases could not be removed
    found: dict[str, MaskedPart] = {}
    for call in traced.calls:
        if not isinstance(call.op, TrainedMask):
            continue
        for layer in call.op.parts():
            kind, name = layer.weighs
            if name in found and found[name].layer is not layer:
                raise ValueError(
                    "Expected one layer to weigh the bases or channels of "
                    f"`{name}`. Received: two, `{found[name].layer.name}` and "
                    f"`{layer.name}`. If they are in different nested models, call "
                    "`keras_basisprune.graph.flatten(model)`; if not, prune and fold "
                    "one before the other is added."
                )
            found[name] = MaskedPart(name, kind, layer)
    if required_of is not None and not found:
        basis_pairs(traced, required_of, argument)  # raises the error
    return found


def of_call(call: Call, fact: str) -> np.ndarray:
    """Returns an array of a layer of trained masks, for the channels of one call.

    Args:
        call: A `Call` of a `TrainedMask`.
        fact: `"factors"`, `"strength"` or `"unmasked"`.
    """
    read = getattr(call.op, fact)
    joined = isinstance(call.op, JoinedMasks)
    return read(call.kwargs.get("parts")) if joined else read()
