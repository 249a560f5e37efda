"""The base class of rules: all that the package has to know of a layer class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_basisprune.graph.rules._obstacles import obstacle_at_the_output
from keras_basisprune.graph.rules._reads import Read
from keras_basisprune.graph.rules._uncounted import multiplies_nothing
from keras_basisprune.graph.trace import is_from_keras


class Rule:
    """All that the package has to know of a layer class. Base of all rules.

    `propagate` and `cut` make channels prunable. Each of the others has a default that
    leaves the layer unchanged: `filters` and `rows` (not scored), `flops` (not
    counted), `fold` (not folded), `matrix` and `with_matrix` (not decomposed),
    `patches` and `weights_for` (not corrected by `compensate` and regression).

    Attributes:
        free: Whether calls of one layer are independent of each other: it has neither
            weights nor a config that depends on channels.
        inherited: Whether `filters` and `flops` hold for subclasses without a rule, or
            with a rule that does not define them.
        asked: Whether the layer is decomposed only if `include` selects it.
        adapted: Name of the weight that LoRA is added to, if there is one.
        idle: Whether the layer does nothing in inference, such as dropout.
        adds: Whether it outputs the sum of its inputs.
        follows: Whether it belongs to the layer before it, as its activation or
            BatchNormalization: outputs of that layer are then measured after this one.
        scales: The factors per channel, zeros included, that have the same effect
            before and after the layer: `"any"`, `"positive"`, or `None` (not known).
        row_axis: The axis of the kernel that has an entry per input channel.
    """

    free = False
    inherited = False
    asked = False
    adapted: str | None = None
    idle = False
    adds = False
    follows = False
    scales: str | None = None
    row_axis = -2

    def propagate(self, layer: Any, inputs: list[Any], flow: Any) -> Any:
        """Returns the channels of the outputs. By default, those of the first input.

        Args:
            layer: The layer or operation.
            inputs: A list of `Channels`, one per input tensor.
            flow: The `Flow`, which creates, ties and pins channels.

        Returns:
            The `Channels` of the output, or a list of them for several outputs; `None`
            for an output without channels; `flow.stop(inputs, reason)` where channels
            can't be followed.
        """
        return inputs[0]

    def cut(
        self, layer: Any, kept_in: list[Any], kept_out: list[Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the changes to a layer when some of its channels are removed.

        Args:
            layer: The layer or operation.
            kept_in: A list of `KeptChannels`, one per input tensor.
            kept_out: A list of `KeptChannels`, one per output tensor.

        Returns:
            A pair of dicts: changes of its config, and NumPy arrays by the names of the
            layer's attributes that hold weights. All else is kept unchanged.
        """
        return {}, {}

    def weights(self, layer: Any) -> Sequence[str] | None:
        """Names the weights that the rule knows: cut by `cut`, or safe to keep.

        Channels of a layer with other weights are not followed, since these might have
        to be cut too: scales of quantized layers, adapters, or an activation with
        weights. Weights of a single number don't matter.

        Args:
            layer: The layer or operation.

        Returns:
            Names of the layer's attributes, such as `"kernel"` or `"cell.kernel"`;
            missing ones are ignored. `None`, the default, for all of its weights.
        """
        return () if self.free and is_from_keras(type(layer)) else None

    def arguments(self, call: Any, kept_in: list[Any], kept_out: list[Any]) -> Any:
        """Returns a call's args and kwargs when channels are removed."""
        return call.args, call.kwargs

    def filters(self, layer: Any) -> np.ndarray | None:
        """Returns the filters of the output channels, for `l1_norm`, `fpgm`, ...

        Args:
            layer: The layer.

        Returns:
            An array of shape `(weights per filter, filters)`. `None`, the default: the
            layer's filters are not scored.
        """
        return None

    def depthwise(self, layer: Any) -> bool:
        """Returns whether the layer has filters, but passes its input channels on.

        A depthwise convolution does. Its filters are scored together with those of the
        layer that produces the channels.
        """
        return False

    def rows(self, layer: Any) -> np.ndarray | None:
        """Returns the weights that read the input channels, for `compensated`.

        Args:
            layer: The layer.

        Returns:
            An array of shape `(input channels, outputs)`; each tap of each filter
            counts as an output. `None`, the default: not known.
        """
        return None

    def reads(self, layer: Any, call: Any) -> list[Read]:
        """Returns these weights by tensor. By default, `rows` reads the first input.

        Args:
            layer: The layer; inside of `TimeDistributed`, the wrapped one.
            call: The `Call`.

        Returns:
            A list of `Read`s. Empty: not known, or channels pass.
        """
        rows = self.rows(layer)
        return [] if rows is None else [Read(call.input_tensors[0], rows)]

    def flops(self, call: Any, shapes: Any) -> int | None:
        """Returns 2 x multiply-adds of one call, for one sample, from shapes alone.

        Args:
            call: The `Call`, whose `op` is the layer.
            shapes: The `Shapes` to count for: `shapes.inputs[0]`, `shapes.outputs[0]`
                and `shapes.weight(layer, "kernel")`.

        Returns:
            The number, or `None` if it is not known. By default 0 for Keras' layers
            and operations without matrix products, `None` for all others.
        """
        return multiplies_nothing(call.op)

    def fold(self, layer: Any, name: str, factor: Any, offset: Any) -> Any:
        """Returns a layer that outputs `factor * y + offset`, `y` this layer's output.

        It replaces a layer without activation and the BatchNormalization that alone
        reads it.

        Args:
            layer: The layer.
            name: The name of the new one.
            factor: Float64 array of shape `(cout,)` (or a number).
            offset: Float64 array of shape `(cout,)` (or a number).

        Returns:
            A `NewLayer`. `None`, the default: not folded.
        """
        return None

    def matrix(self, layer: Any) -> np.ndarray | None:
        """Returns the matrix that a decomposition factors: the kernel.

        The layer must be linear except for bias and activation (its attributes `bias`
        and `activation`, if it has any). A rule with `matrix` needs `with_matrix`.

        Args:
            layer: The layer.

        Returns:
            An array of shape `(n, cout)`. `None`, the default: not decomposed.
        """
        return None

    def matrix_shape(self, layer: Any) -> tuple[int, int] | None:
        """Returns `(n, cout)`. A rule may do so without reading the weights."""
        matrix = self.matrix(layer)
        return None if matrix is None else matrix.shape

    def obstacle(self, layer: Any) -> str | None:
        """Returns the reason why a layer can't be decomposed; `None` if it can.

        By default: its rule has no `matrix`, or it is quantized, has LoRA, or an
        activation with weights.
        """
        if not defines(self, "matrix"):
            return f"{type(layer).__name__} is not a convolution or dense layer"
        return obstacle_at_the_output(layer)

    def before(self, layer: Any, name: str) -> list:
        """Makes the layers that the input passes before it is multiplied by `matrix`.

        Args:
            layer: The layer.
            name: The name that the names of the new layers are made from.

        Returns:
            A list of `NewLayer`s, such as the depthwise half of a separable
            convolution. Empty by default.
        """
        return []

    def with_matrix(self, layer: Any, name: str, matrix: Any, bias: Any = None) -> Any:
        """Makes a layer like this one, with another matrix, and without activation.

        Args:
            layer: The layer.
            name: The name of the new one.
            matrix: Array of shape `(n, any)`.
            bias: Array of shape `(any,)`, or `None` for none.

        Returns:
            A `NewLayer`, whose layer has the attributes `kernel` (of shape
            `(..., any)`) and `use_bias`. It is applied after those of `before`.
        """
        return None

    def weights_for(self, layer: Any, matrix: Any) -> dict | None:
        """Returns the layer's weights for another matrix of the same shape.

        Args:
            layer: The layer.
            matrix: Array of shape `(n, cout)`.

        Returns:
            Arrays by the names of the layer's attributes. `None`, the default:
            `compensate` does not change the layer.
        """
        return None

    def patches(self, layer: Any, inputs: Any, positions: Any) -> np.ndarray | None:
        """Returns what the matrix is multiplied by at some output positions.

        `patches(layer, x, positions) @ matrix` (plus bias) equals the layer's outputs
        at these positions, without activation.

        Args:
            layer: The layer.
            inputs: Array, a batch of inputs, passed through the layers of `before`.
            positions: Integer array of shape `(count,)`, or `(batch, count)` if they
                differ by sample: positions in the flattened output map.

        Returns:
            An array of shape `(batch * count, n)`. `None`, the default: the layer is
            not corrected.
        """
        return None


def defines(rule, fact) -> bool:
    """Returns whether a rule (or `None`) overrides a method of `Rule`."""
    return rule is not None and getattr(type(rule), fact) is not getattr(Rule, fact)
