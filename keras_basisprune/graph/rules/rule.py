"""What rules are made of: all that the package has to know of a layer class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_basisprune.graph.rules._obstacles import obstacle_at_the_output
from keras_basisprune.graph.rules._reads import Read
from keras_basisprune.graph.rules._uncounted import multiplies_nothing
from keras_basisprune.graph.trace import is_from_keras


class Rule:
    """All that the package has to know of a layer class. Base of all rules.

    `propagate` and `cut` make channels prunable. Each of the others has a default by
    which the layer is left alone: `filters` and `rows` (not scored), `flops` (not
    counted), `fold` (not folded), `matrix` and `with_matrix` (not decomposed),
    `patches` and `weights_for` (not corrected by `compensate` and regression).

    Attributes:
        free: Whether calls of one layer have nothing to do with each other: it has
            neither weights nor a config that depends on channels.
        inherited: Whether `filters` and `flops` hold for subclasses without a rule, or
            with one that does not say them.
        asked: Whether the layer is decomposed only if `include` asks for it.
        adapted: Name of the weight that LoRA is added to, if there is one.
        idle: Whether the layer does nothing in inference, as dropout.
        adds: Whether it puts out the sum of its inputs.
        follows: Whether it belongs to the layer before it, as its activation or
            BatchNormalization: what that one makes is looked at behind it.
        scales: Which factors per channel may stand in front of the layer or behind it,
            zeros included: `"any"`, `"positive"` or, not known, `None`.
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
        """Says what channels come out. By default, those that came in.

        Args:
            layer: The layer or operation.
            inputs: A list of `Channels`, one per input tensor.
            flow: The `Flow`, which makes, ties and pins channels.

        Returns:
            The `Channels` of the output, or a list of them for several outputs; `None`
            for an output without channels; `flow.stop(inputs, reason)` where channels
            can't be followed.
        """
        return inputs[0]

    def cut(
        self, layer: Any, kept_in: list[Any], kept_out: list[Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Says what a layer is when some of its channels have left.

        Args:
            layer: The layer or operation.
            kept_in: A list of `KeptChannels`, one per input tensor.
            kept_out: The same for its outputs.

        Returns:
            A pair of dicts: changes of its config, and NumPy arrays by the names of the
            layer's attributes that hold weights. What is not named stays.
        """
        return {}, {}

    def weights(self, layer: Any) -> Sequence[str] | None:
        """Which weights the rule knows: those that `cut` names, or that may stay.

        Channels of a layer that has others are not followed, since these might have to
        be cut too: quantized layers have scales, others adapters, or an activation with
        weights. Weights of a single number don't matter.

        Args:
            layer: The layer or operation.

        Returns:
            Names of the layer's attributes, such as `"kernel"` or `"cell.kernel"`;
            those that it lacks don't matter. `None`, the default, for all that it has.
        """
        return () if self.free and is_from_keras(type(layer)) else None

    def arguments(self, call: Any, kept_in: list[Any], kept_out: list[Any]) -> Any:
        """What a call's arguments are then: a pair of args and kwargs."""
        return call.args, call.kwargs

    def filters(self, layer: Any) -> np.ndarray | None:
        """The filters of the output channels: how `l1_norm`, `fpgm`, ... score them.

        Args:
            layer: The layer.

        Returns:
            An array of shape `(weights per filter, filters)`. `None`, the default: what
            the layer makes has no score of its own.
        """
        return None

    def depthwise(self, layer: Any) -> bool:
        """Whether the layer has filters though its channels are those of its input.

        That is so in a depthwise convolution. Its filters are scored together with
        those that make the channels.
        """
        return False

    def rows(self, layer: Any) -> np.ndarray | None:
        """The weights by which input channels are read: `compensated` scores by them.

        Args:
            layer: The layer.

        Returns:
            An array of shape `(input channels, outputs)`, whatever outputs are (each
            tap of each filter is one). `None`, the default: not known.
        """
        return None

    def reads(self, layer: Any, call: Any) -> list[Read]:
        """The same with the tensors that are read: by default `rows` reads the first.

        Args:
            layer: The layer; inside of `TimeDistributed`, that which it calls.
            call: The `Call`.

        Returns:
            A list of `Read`s. Empty: not known, or channels pass.
        """
        rows = self.rows(layer)
        return [] if rows is None else [Read(call.input_tensors[0], rows)]

    def flops(self, call: Any, shapes: Any) -> int | None:
        """2 x multiply-adds of one call, for one sample, from shapes alone.

        Args:
            call: The `Call`, whose `op` is the layer.
            shapes: The `Shapes` to count for: `shapes.inputs[0]`, `shapes.outputs[0]`
                and `shapes.weight(layer, "kernel")`.

        Returns:
            The number; `None` if it is not known, the default except for layers of
            Keras that multiply by no matrix, which count as 0.
        """
        return multiplies_nothing(call.op)

    def fold(self, layer: Any, name: str, factor: Any, offset: Any) -> Any:
        """A layer that makes `factor * y + offset` of the `y` that this one makes.

        It is asked for where a BatchNormalization alone reads a layer without
        activation, and stands for both. By default there is none.

        Args:
            layer: The layer.
            name: The name of the new one.
            factor: Float64 array of shape `(cout,)` (or a number).
            offset: The same.

        Returns:
            A `NewLayer`.
        """
        return None

    def matrix(self, layer: Any) -> np.ndarray | None:
        """What a decomposition factors: the kernel as a matrix.

        The layer has to be linear but for bias and activation (its attributes `bias`
        and `activation`, if it has any). With it goes `with_matrix`.

        Args:
            layer: The layer.

        Returns:
            An array of shape `(n, cout)`. `None`, the default: not decomposed.
        """
        return None

    def matrix_shape(self, layer: Any) -> tuple[int, int] | None:
        """`(n, cout)`; where reading the weights is to be saved."""
        matrix = self.matrix(layer)
        return None if matrix is None else matrix.shape

    def obstacle(self, layer: Any) -> str | None:
        """Why a layer can't be decomposed, in words; `None` if it can.

        By default: there is no `matrix`, or it is quantized, has LoRA, or an
        activation with weights.
        """
        if not defines(self, "matrix"):
            return f"{type(layer).__name__} is not a convolution or dense layer"
        return obstacle_at_the_output(layer)

    def before(self, layer: Any, name: str) -> list:
        """What the input goes through before it is multiplied by `matrix`.

        Args:
            layer: The layer.
            name: What the new layers are named after.

        Returns:
            A list of `NewLayer`s, such as the depthwise half of a separable
            convolution. Empty by default.
        """
        return []

    def with_matrix(self, layer: Any, name: str, matrix: Any, bias: Any = None) -> Any:
        """A layer like this one, with another matrix, and without activation.

        Args:
            layer: The layer.
            name: The name of the new one.
            matrix: Array of shape `(n, any)`.
            bias: Array of shape `(any,)`, or `None` for none.

        Returns:
            A `NewLayer`, whose layer has the attributes `kernel` (of shape
            `(..., any)`) and `use_bias`. It stands behind those of `before`.
        """
        return None

    def weights_for(self, layer: Any, matrix: Any) -> dict | None:
        """The layer's own weights that amount to another matrix of the same shape.

        Args:
            layer: The layer.
            matrix: Array of shape `(n, cout)`.

        Returns:
            Arrays by the names of the layer's attributes. `None`, the default: there
            are none, so that `compensate` leaves the layer as pruning does.
        """
        return None

    def patches(self, layer: Any, inputs: Any, positions: Any) -> np.ndarray | None:
        """What the matrix is multiplied by at some output positions.

        `patches(layer, x, positions) @ matrix` (plus bias) equals the layer's outputs
        at these positions, without activation.

        Args:
            layer: The layer.
            inputs: Array of a batch, behind what is `before`.
            positions: Integer array of shape `(count,)`, or `(batch, count)` for others
                in each sample: positions in the flattened output map.

        Returns:
            An array of shape `(batch * count, n)`. By default there is none: the layer
            is not corrected.
        """
        return None


def defines(rule, fact) -> bool:
    """Whether a rule (or `None`) says something that by default is not known."""
    return rule is not None and getattr(type(rule), fact) is not getattr(Rule, fact)
