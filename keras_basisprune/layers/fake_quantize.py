"""The layer that rounds activations as an int8 file does."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_basisprune.layers._exact_range import exact_range
from keras_basisprune.layers._integer_operations import (
    integer_mean,
    integer_product,
    integer_sum,
)
from keras_basisprune.layers._round_through import round_through, scale_of
from keras_basisprune.layers._rounded_spec import rounded_spec
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole

_SMALLEST = 1e-6  # width of a range
_OPERATIONS = {
    "add": integer_sum,
    "mean": integer_mean,
    "multiply": integer_product,
}


@keras.saving.register_keras_serializable(package="keras_basisprune")
class FakeQuantize(keras.layers.Layer):
    """Rounds its inputs to the numbers that an integer tensor of LiteRT can hold.

    These are 256 (at 8 bits) equal steps over a range that holds zero exactly; values
    beyond the range are clipped. Gradients pass as if values were only clipped.
    `keras_basisprune.training.quantize_aware` places these layers and sets their
    ranges.

    Tensors that share a range share a layer. It has a minimum and maximum for each of
    these, its members, and the range spans all of them.

    Source: Jacob et al. 2018, *Quantization and Training of Neural Networks for
    Efficient Integer-Arithmetic-Only Inference* (arXiv:1712.05877), section 3; learned
    ranges: Esser et al. 2020, *Learned Step Size Quantization* (arXiv:1902.08153).

    Args:
        bits: Integer, 8 or 16. 16 bits are symmetric: zero in the middle.
        ranges: `"moving"`: the range follows the minimum and maximum of each batch in
            training, by a moving average; `"learned"`: it is trained by gradients.
        members: Integer, the number of tensors that share the range.
        momentum: Float in [0, 1], of the moving average.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor of any shape.
        member: Integer, which of the members it is; `None` for a tensor that takes on
            the range and has no influence on it.
        average: Whether the tensor holds averages of a few numbers of the range, which
            are often halfway between two.
        operation: `"add"` or `"multiply"`, if `inputs` are the sum or the product of
            two tensors, or a ReLU of it; `"mean"`, if they are the mean of an image:
            out of training, it is computed in integers, as LiteRT does.
        operands: A list of these two tensors, or of the image.
        operand_scales: A list of tensors of shape `()`, their scales.
        scale_only: Whether to return the distance between two neighbouring numbers, a
            tensor of shape `()`, instead; layers round their biases by it.

    Weights:
        `low` and `high` of shape `(members,)`, not trainable. For `"learned"` also
        `growth` of shape `(2,)`, trainable: the range is
        `[min(low) * exp(growth[0]), max(high) * exp(growth[1])]`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> layer = keras_basisprune.layers.FakeQuantize()
    >>> layer.build((None, 3))
    >>> layer.set_range(0, 0.0, 255.0)
    >>> layer(keras.ops.array([0.4, 0.6, 300.0]))  # 0, 1, 255
    """

    def __init__(
        self,
        bits: int = 8,
        ranges: str = "moving",
        members: int = 1,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bits = check_whole("bits", bits, 2, 16, "Pass 8 or 16.")
        check_choice("ranges", ranges, ("moving", "learned"))
        self.ranges = ranges
        self.members = check_whole("members", members, 1, 2**20, "Pass 1.")
        self.momentum = check_number("momentum", momentum, "[0, 1]")
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        shape = (self.members,)
        given = {"shape": shape, "trainable": False, "dtype": "float32"}
        self.low = self.add_weight(name="low", initializer="zeros", **given)
        self.high = self.add_weight(name="high", initializer="ones", **given)
        if self.ranges == "learned":
            self.growth = self.add_weight(
                name="growth", shape=(2,), initializer="zeros", dtype="float32"
            )

    def call(
        self,
        inputs: Any,
        member: int | None = 0,
        average: bool = False,
        scale_only: bool = False,
        operation: str | None = None,
        operands: Sequence[Any] = (),
        operand_scales: Sequence[Any] = (),
        training: bool | None = None,
    ) -> Any:
        if scale_only:
            low, high = self._bounds()
            return scale_of(low, high, self._steps)
        values = ops.cast(inputs, "float32")
        if training and self.ranges == "moving" and member is not None:
            self._follow(values, member)
        low, high = self._bounds()
        if operation is not None and not training:
            scale = scale_of(low, high, self._steps)
            in_integers = _OPERATIONS[operation](operands, operand_scales, scale)
            in_integers = ops.reshape(in_integers, ops.shape(values))
            values = values + ops.stop_gradient(in_integers - values)
        symmetric = self.bits > 8
        rounded = round_through(values, low, high, self._steps, symmetric, away=average)
        return ops.cast(rounded, self.compute_dtype)

    def set_range(self, member: int, low: float, high: float) -> None:
        """Sets the minimum and maximum of a member.

        Args:
            member: Integer, its number.
            low: Its minimum. A minimum above 0 counts as 0.
            high: Its maximum. A maximum below 0 counts as 0.
        """
        for weight, value in ((self.low, min(low, 0.0)), (self.high, max(high, 0.0))):
            values = np.array(ops.convert_to_numpy(weight))
            values[member] = value
            weight.assign(values)

    def range(self) -> tuple[float, float]:
        """Returns the smallest and the largest number that values are rounded to."""
        low, high = self._bounds()
        if self.bits > 8:
            return exact_range(_number(low), _number(high), self.bits)
        scale = scale_of(low, high, self._steps)
        below = _number(ops.round(-low / scale))
        scale = _number(scale)
        return -below * scale, (self._steps - below) * scale

    @property
    def scale(self) -> float:
        """The distance between two neighbouring numbers."""
        low, high = self.range()
        return (high - low) / self._steps

    @property
    def _steps(self) -> int:
        return 2**self.bits - 1

    def _bounds(self):
        """Returns the range as tensors."""
        low = ops.minimum(ops.min(self.low), 0.0)
        high = ops.maximum(ops.max(self.high), 0.0)
        if self.ranges == "learned":
            low, high = low * ops.exp(self.growth[0]), high * ops.exp(self.growth[1])
        high = ops.maximum(high, low + _SMALLEST)
        if self.bits > 8:
            half = 2 ** (self.bits - 1)
            high = ops.maximum(high, -low)
            low = -high * (half / (half - 1))
        return low, high

    def _follow(self, values, member):
        values = ops.stop_gradient(values)
        one = np.arange(self.members) == member
        rate = (1 - self.momentum) * one.astype("float32")
        for weight, found in (
            (self.low, ops.minimum(ops.min(values), 0.0)),
            (self.high, ops.maximum(ops.max(values), 0.0)),
        ):
            weight.assign(weight + rate * (found - weight))

    def compute_output_spec(
        self, inputs: Any, member: Any = None, scale_only: bool = False, **kwargs: Any
    ) -> keras.KerasTensor:
        return rounded_spec(self, inputs, scale_only)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "ranges": self.ranges,
            "members": self.members,
            "momentum": self.momentum,
        }


def _number(tensor) -> float:
    return float(ops.convert_to_numpy(tensor))
