"""Find the decomposed layers of a converted model."""

import dataclasses
import math

import keras
import numpy as np

from keras_basisprune.graph.trace import Trace
from keras_basisprune.layers import BasisScalingConv


@dataclasses.dataclass(frozen=True)
class BasisPair:
    """The two halves of a decomposed layer.

    Attributes:
        name: Name of the layer that was decomposed; plans and scores use it.
        basis: The convolution or dense layer that holds the basis filters `U`.
        scaling: The `BasisScalingConv` that holds the scales, the mask and the kernel
            back to the output channels.
    """

    name: str
    basis: keras.layers.Layer
    scaling: BasisScalingConv

    @property
    def rank(self) -> int:
        """Number of bases, masked ones included."""
        return self.scaling.kernel.shape[0]

    @property
    def matrix(self) -> tuple[int, int]:
        """Shape `(n, cout)` of the matrix that was decomposed."""
        return math.prod(self.basis.kernel.shape[:-1]), self.scaling.filters

    @property
    def mask(self) -> np.ndarray:
        """Boolean array of shape `(rank,)`: the bases that are not masked."""
        return self.scaling.unmasked()

    @property
    def scale(self) -> np.ndarray:
        """Array of shape `(rank,)`: the scaling factors."""
        return keras.ops.convert_to_numpy(self.scaling.scale.value)

    @property
    def singular_values(self) -> np.ndarray:
        """Float64 array of shape `(rank,)`, computed from the stored kernel."""
        return self.scaling.singular_values()

    @property
    def rounding(self) -> float:
        """Relative difference of equal singular values that rounding may cause."""
        return rounding_of(self.scaling.kernel.dtype)


def rounding_of(dtype) -> float:
    """Returns the relative difference of equal values that storing them may cause."""
    name = keras.backend.standardize_dtype(dtype)
    return 4 * 2.0 ** -{"bfloat16": 7, "float16": 10}.get(name, 23)


def basis_pairs(
    traced: Trace, required_of: str | None = None, argument: str = "model"
) -> dict[str, BasisPair]:
    """Finds the decomposed layers of a converted model, in order of execution.

    Args:
        traced: The model's `Trace`.
        required_of: Name of the model, if it must be a converted one.
        argument: Name of the argument that held the model, for the message.

    Returns:
        A dict from the name of the layer that was decomposed (the `BasisScalingConv`'s
        without `_scaling`) to a `BasisPair`. Empty for an ordinary model.

    Raises:
        ValueError: If a `BasisScalingConv` is not the only reader of a layer without
            bias, so that no basis could be removed; if two layers of nested models
            share a name; or if the model has no such pair and one is required.
    """
    producers, consumers = traced.producers(), traced.consumers()
    results = {id(tensor) for tensor in keras.tree.flatten(traced.outputs)}
    pairs: dict[str, BasisPair] = {}
    for call in traced.calls:
        if not isinstance(call.op, BasisScalingConv):
            continue
        source = call.input_tensors[0]
        producer = producers.get(id(source))
        basis = producer.op if producer else None
        alone = len(consumers[id(source)]) == 1 and id(source) not in results
        plain = getattr(basis, "use_bias", True) is False
        if not (alone and plain and hasattr(basis, "kernel")):
            raise ValueError(
                f"Expected the BasisScalingConv `{call.op.name}` to be the only reader "
                "of a convolution or dense layer without bias. Received: input from "
                f"`{getattr(basis, 'name', source.name)}`. Build such pairs with "
                "`keras_basisprune.convert(model)`."
            )
        _, name = call.op.weighs
        if name in pairs and pairs[name].scaling is not call.op:
            raise ValueError(
                f"Expected one decomposed layer of the name `{name}`. Received: two, "
                "in nested models. Call `keras_basisprune.graph.flatten(model)`, which "
                "renames one of them."
            )
        pairs[name] = BasisPair(name, basis, call.op)
    if required_of is not None and not pairs:
        raise ValueError(
            f"Expected `{argument}` to be a converted model. Received: "
            f"{argument}={required_of!r}, without BasisScalingConv layers. Call "
            "`keras_basisprune.convert(model)` first; a folded model is pruned already."
        )
    return pairs
