"""The layer that weighs the channels which convolutions make."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_basisprune.layers.trained_mask import TrainedMask
from keras_basisprune.utils.check_choice import check_choice

_SUFFIX = "_channel_scaling"


@keras.saving.register_keras_serializable(package="keras_basisprune")
class ChannelScaling(TrainedMask):
    """Multiplies each channel by a trainable scale, and by a mask.

    It stands where the channels of a convolution are read by the layers behind it:
    behind BatchNormalization and activation, where both follow. Channels that the
    architecture ties together share one layer, which is called at each such place. At
    scale 1 it changes nothing. `keras_basisprune.methods.channel_scaling` puts it
    there.

    Source: Wong, Kashyap, Moradi 2021, *Channel Scaling: A Scale-and-Select Approach
    for Efficient Transfer Learning* (arXiv:2103.12228), section 2.

    Args:
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras' own.
        scale_regularizer: Any Keras regularizer of `scale`.
        l1: Float, short form for `scale_regularizer=keras.regularizers.L1(l1)`. Give
            one of the two.
        **kwargs: Passed on to `keras.layers.Layer`. `name` says what is weighed:
            `<layer>_channel_scaling` weighs the channels of `<layer>`.

    Input shape:
        `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`;
        `(batch, channels)` with either.

    Output shape:
        The same.

    Weights:
        `scale` of shape `(channels,)`, trainable, and `mask` of the same shape, not
        trainable; ones at first.

    Raises:
        ValueError: If `data_format` is unknown, `l1` is not a finite number >= 0 or
            comes together with `scale_regularizer`, or the number of channels is not
            known when the layer is built.

    Example:

    >>> layer = keras_basisprune.layers.ChannelScaling(l1=1e-4)
    >>> layer(keras.ops.ones((1, 16, 16, 3))).shape
    (1, 16, 16, 3)
    """

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

    @staticmethod
    def name_for(layer: str) -> str:
        """The name of the layer that weighs the channels of the layer of a name."""
        return layer + _SUFFIX

    def build(self, input_shape: Sequence[int | None]) -> None:
        axis = self._channel_axis(input_shape)
        if len(input_shape) < 2 or input_shape[axis] is None:
            raise ValueError(
                "Expected an input with a known number of channels. Received: "
                f"input_shape={tuple(input_shape)}. Give `keras.Input` the size of the "
                "channel axis."
            )
        self.add_scale_and_mask(input_shape[axis])

    def call(self, inputs: Any) -> Any:
        shape = [1] * len(inputs.shape)
        shape[self._channel_axis(shape)] = self.scale.shape[0]
        return inputs * ops.reshape(self.scale * self.mask, shape)

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    @property
    def weighs(self) -> tuple[str, str]:
        """Channels of the layer that its name is made of."""
        return "channels", self.name.removesuffix(_SUFFIX)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}

    def _channel_axis(self, shape):
        return 1 if self.data_format == "channels_first" and len(shape) > 2 else -1
