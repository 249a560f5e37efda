"""The layer that rounds activations of a known range as an int8 file does."""

from typing import Any

import keras
from keras import ops

from keras_basisprune.layers._exact_range import exact_range
from keras_basisprune.layers._round_through import TIE
from keras_basisprune.layers._rounded_spec import rounded_spec
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


@keras.saving.register_keras_serializable(package="keras_basisprune")
class FixedFakeQuantize(keras.layers.Layer):
    """Rounds its inputs to the numbers of an integer tensor with a known range.

    As `FakeQuantize`, without weights: for the inputs of a network, for outputs of
    operations whose range LiteRT prescribes (a softmax is between 0 and 255/256), and
    for all activations when a file is written, whose converter reads constants only.

    Args:
        low: Float, at most 0: the smallest number.
        high: Float, at least 0: the largest number.
        bits: Integer, 8 or 16. 16 bits are symmetric: zero in the middle.
        while_training: Whether values are rounded in training, too. Rounded
            probabilities are zero so often that losses of them would be useless.
        ties_up: Whether values halfway between two numbers, but for a thousandth of a
            step, go to the larger one. Pixels that were scaled to [-1, 1] are all
            halfway, and chance would decide.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor of any shape.
        member: Not used.
        average: Not used.
        scale_only: As in `FakeQuantize`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> layer = keras_basisprune.layers.FixedFakeQuantize(0.0, 255.0)
    >>> layer(keras.ops.array([0.4, 0.6, 300.0]))  # 0, 1, 255
    """

    def __init__(
        self,
        low: float,
        high: float,
        bits: int = 8,
        while_training: bool = True,
        ties_up: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.low = check_number("low", low, "(-inf, 0]")
        self.high = check_number("high", high, "[0, inf)")
        self.bits = check_whole("bits", bits, 2, 16, "Pass 8 or 16.")
        self.while_training = check_flag("while_training", while_training)
        self.ties_up = check_flag("ties_up", ties_up)
        self.supports_masking = True

    def call(
        self,
        inputs: Any,
        member: int | None = None,
        average: bool = False,
        scale_only: bool = False,
        training: bool | None = None,
    ) -> Any:
        if scale_only:
            return ops.convert_to_tensor(self.scale, "float32")
        values = ops.cast(inputs, "float32")
        if self.while_training or not training:
            if self.ties_up:
                values = values + TIE * self.scale
            values = keras.quantizers.fake_quant_with_min_max_vars(
                values, *self.range(), self.bits
            )
        return ops.cast(values, self.compute_dtype)

    def range(self) -> tuple[float, float]:
        """Returns the smallest and the largest number that values are rounded to."""
        return exact_range(self.low, self.high, self.bits)

    @property
    def scale(self) -> float:
        """The distance between two neighbouring numbers."""
        low, high = self.range()
        return (high - low) / (2**self.bits - 1)

    def compute_output_spec(
        self, inputs: Any, member: Any = None, scale_only: bool = False, **kwargs: Any
    ) -> keras.KerasTensor:
        return rounded_spec(self, inputs, scale_only)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "low": self.low,
            "high": self.high,
            "bits": self.bits,
            "while_training": self.while_training,
            "ties_up": self.ties_up,
        }
