"""The layer that weighs the channels which convolutions make."""

from collections.abc import Sequence

import keras

from keras_basisprune.layers._channel_mask import ChannelMask


@keras.saving.register_keras_serializable(package="keras_basisprune")
class ChannelScaling(ChannelMask):
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
        trainable; ones at first. Training keeps scales at zero or above: only these
        can be taken through a maximum (pooling) when they are folded.

    Raises:
        ValueError: If `data_format` is unknown, `l1` is not a finite number >= 0 or
            comes together with `scale_regularizer`, or the number of channels is not
            known when the layer is built.

    Example:

    >>> layer = keras_basisprune.layers.ChannelScaling(l1=1e-4)
    >>> layer(keras.ops.ones((1, 16, 16, 3))).shape
    (1, 16, 16, 3)
    """

    suffix = "_channel_scaling"

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        self.scale.constraint = keras.constraints.NonNeg()
