"""The shapes that the cost of a call depends on."""

import dataclasses
import math
import operator
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Shapes of the tensors and weights of one call.

    Attributes:
        inputs: Shapes of its input tensors, the batch axis included.
        outputs: Shapes of its output tensors.
        changed: Maps names of the layer's attributes (`"kernel"`, `"cell.kernel"`) to
            the shapes of weights that should differ from the layer's own.
    """

    inputs: tuple[tuple, ...]
    outputs: tuple[tuple, ...]
    changed: Mapping[str, tuple] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_call(cls, call):
        """Returns the shapes of a `Call`."""
        sides = call.input_tensors, call.output_tensors
        return cls(*(tuple(tuple(t.shape) for t in side) for side in sides))

    def weight(self, layer, path) -> tuple:
        """Returns the shape of a weight."""
        if path in self.changed:
            return tuple(self.changed[path])
        return tuple(operator.attrgetter(path)(layer).shape)

    def inside(self, prefix, without_axis=None):
        """Returns the shapes for an inner layer, whose attributes have a prefix.

        Args:
            prefix: The name of the attribute that holds the layer, and a dot.
            without_axis: An axis that the tensors of the inner layer lack.
        """
        at = without_axis
        if at is None:
            inputs, outputs = self.inputs, self.outputs
        else:
            inputs, outputs = (
                tuple((*shape[:at], *shape[at + 1 :]) for shape in side)
                for side in (self.inputs, self.outputs)
            )
        changed = {
            path.removeprefix(prefix): shape
            for path, shape in self.changed.items()
            if path.startswith(prefix)
        }
        return Shapes(inputs, outputs, changed)

    @staticmethod
    def product(sizes) -> int | None:
        """Returns the product of sizes; `None` if one of them is not known."""
        return None if None in sizes else math.prod(sizes)
