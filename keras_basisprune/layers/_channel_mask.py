"""Base of layers that weigh channels."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_basisprune.layers.trained_mask import TrainedMask
from keras_basisprune.utils.check_choice import check_choice


class ChannelMask(TrainedMask):
    """Multiplies each channel of its input by a number.

    Subclasses set `suffix`: a layer named `<layer><suffix>` weighs the channels of
    `<layer>`. They override `multipliers` if these are not `scale * mask`.

    Args:
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras' own.
        scale_regularizer: Any Keras regularizer of `scale`.
        l1: Float, short form for `scale_regularizer=keras.regularizers.L1(l1)`.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: If `data_format` is unknown, or the number of channels is not known
            when the layer is built.
    """

    suffix = ""

    def __init__(
        self,
        data_format: str | None = None,
        scale_regularizer: Any = None,
        l1: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(scale_regularizer, l1, **kwargs)
        formats = ("channels_last", "channels_first", None)
        remedy = "Leave it out for Keras' own setting."
        check_choice("data_format", data_format, formats, remedy)
        self.data_format = data_format or keras.config.image_data_format()
        self.supports_masking = True

    @classmethod
    def name_for(cls, layer: str) -> str:
        """Returns the name of the layer that weighs the channels of a layer."""
        return layer + cls.suffix

    @property
    def weighs(self) -> tuple[str, str]:
        """Channels of the layer that its name is made of."""
        return "channels", self.name.removesuffix(self.suffix)

    def build(self, input_shape: Sequence[int | None]) -> None:
        axis = self._channel_axis(input_shape)
        if len(input_shape) < 2 or input_shape[axis] is None:
            raise ValueError(
                "Expected an input with a known number of channels. Received: "
                f"input_shape={tuple(input_shape)}. Give `keras.Input` the size of the "
                "channel axis."
            )
        self.add_scale_and_mask(input_shape[axis])

    def multipliers(self, training: bool | None = None) -> Any:
        """Returns the factors of the channels: a tensor of shape `(channels,)`.

        Args:
            training: Whether the model is being trained.
        """
        return self.scale * self.mask

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self._channel_axis(shape)] = self.scale.shape[0]
        factors = ops.cast(self.multipliers(training), self.compute_dtype)
        return inputs * ops.reshape(factors, shape)

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    def _channel_axis(self, shape):
        return 1 if self.data_format == "channels_first" and len(shape) > 2 else -1
