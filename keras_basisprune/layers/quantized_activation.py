"""Activations of several steps, rounded after each as an int8 file does."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_basisprune.layers._exact_range import exact_range
from keras_basisprune.layers._integer_operations import integer_product
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_whole import check_whole

_NAMES = ("silu", "hard_sigmoid", "hard_silu")


@keras.saving.register_keras_serializable(package="keras_basisprune")
class QuantizedActivation(keras.layers.Layer):
    """An activation that LiteRT computes in several steps, with rounding in between.

    `silu` is `x * sigmoid(x)`, and LiteRT rounds the sigmoid to multiples of 1/256;
    `hard_sigmoid` is `relu6(x + 3) / 6`, and the sum is rounded to 255 steps.

    Args:
        activation: `"silu"`, `"hard_sigmoid"` or `"hard_silu"`.
        bits: Integer, 8 or 16.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor of any shape.
        input_scale: A tensor of shape `()`, the scale of the rounded inputs.
        output_scale: The same of the rounded outputs: out of training, the product of
            `silu` is then computed in integers, as LiteRT does.

    Example:

    >>> y = keras_basisprune.layers.QuantizedActivation("silu")(x)
    """

    def __init__(self, activation: str, bits: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("activation", activation, _NAMES)
        self.activation = activation
        self.bits = check_whole("bits", bits, 2, 16, "Pass 8 or 16.")
        self.supports_masking = True

    def call(
        self,
        inputs: Any,
        input_scale: Any = None,
        output_scale: Any = None,
        training: bool | None = None,
    ) -> Any:
        if self.activation == "silu":
            high = _sigmoid(self.bits)
            gate = self._rounded(ops.sigmoid(inputs), high)
            if training or output_scale is None:
                return inputs * gate
            scales = [input_scale, ops.convert_to_tensor(high / 255, "float32")]
            found = integer_product([inputs, gate], scales, output_scale)
            return ops.cast(found, self.compute_dtype)
        gate = ops.relu6(inputs + ops.cast(3.0, inputs.dtype))
        gate = self._rounded(gate, 6.0) * ops.cast(1 / 6, inputs.dtype)
        if self.activation == "hard_sigmoid":
            return gate
        return inputs * self._rounded(gate, 1.0)

    def _rounded(self, values, high):
        low, high = exact_range(0.0, high, self.bits)
        values = keras.quantizers.fake_quant_with_min_max_vars(
            values, low, high, self.bits
        )
        return ops.cast(values, self.compute_dtype)

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        own = {"activation": self.activation, "bits": self.bits}
        return {**super().get_config(), **own}


def _sigmoid(bits) -> float:
    """Returns the largest number of an integer tensor that LiteRT's sigmoid makes."""
    return 255 / 256 if bits == 8 else 32767 / 32768
