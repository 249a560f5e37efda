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
            shapes of those weights that are to have others than the layer's own.
    """

    inputs: tuple[tuple, ...]
    outputs: tuple[tuple, ...]
    changed: Mapping[str, tuple] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, call):
        """The shapes that a `Call` has."""
        sides = call.input_tensors, call.output_tensors
        return cls(*(tuple(tuple(t.shape) for t in side) for side in sides))

    def weight(self, layer, path) -> tuple:
        """The shape of a weight."""
        if path in self.changed:
            return tuple(self.changed[path])
        return tuple(operator.attrgetter(path)(layer).shape)

    def inside(self, prefix, without_axis=None):
        """The shapes for a layer inside, whose attributes have a prefix.

        Args:
            prefix: The name of the attribute that holds the layer, and a dot.
            without_axis: An axis of all tensors that is not there inside.
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
        """The product of sizes; `None` if one of them is not known."""
        return None if None in sizes else math.prod(sizes)
