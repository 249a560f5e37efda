"""The protocol of trained layers: what a layer scales, and how strong each part is."""

import keras
import numpy as np

from keras_basisprune.layers._deserialized import deserialized
from keras_basisprune.utils.check_number import check_number


class TrainedMask(keras.layers.Layer):
    """Base of layers whose training decides which bases or channels are removed.

    A method that trains has a layer of this kind. All other code uses this protocol,
    not the layer's class: `L1Thresholding` masks weak bases or channels,
    `Plan.from_masks` and `prune` read the masks, `fold` multiplies `factors()` into
    other layers, `recover` trains the scales, and `scores.magnitude`, `energy` and
    `taylor` score them.

    A subclass

    - calls `add_scale_and_mask(count)` in `build`: `scale` (trainable) and `mask` (1 or
      0, not trainable), of shape `(count,)`. Further weights per basis or channel have
      this shape too.
    - returns from `weighs` what it scales: `("bases", layer)` or `("channels", layer)`,
      where `layer` is the name that plans and scores use.
    - returns from `strength()` how much each contributes, and from `factors()` what
      each is multiplied by in inference, if that is not `|scale|` and `scale * mask`.

    A layer for channels multiplies them by its factors and does nothing else.
    The channel axis is the last one or, with an attribute
    `data_format="channels_first"`, the first. A masked channel is removed when the
    model is pruned. The outputs do not change if every reader of the channel reads it
    after such a layer, and gives zero for zeros. So the layer belongs after
    BatchNormalization and activation, on channels that may be removed
    (`channel_groups`). Channels that are tied together share one layer. It needs no
    rule.

    Args:
        scale_regularizer: Any Keras regularizer of `scale`.
        l1: Float, short form for `scale_regularizer=keras.regularizers.L1(l1)`. Give
            one of the two.
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: If `l1` is not a finite number >= 0, or both are given.

    Example:

    >>> @keras.saving.register_keras_serializable(package="mine")
    ... class Gain(keras_basisprune.layers.TrainedMask):
    ...     def build(self, input_shape):
    ...         self.add_scale_and_mask(input_shape[-1])
    ...     def call(self, inputs):
    ...         return inputs * (self.scale * self.mask)
    ...     @property
    ...     def weighs(self):
    ...         return "channels", self.name.removesuffix("_gain")
    """

    def __init__(self, scale_regularizer=None, l1=None, **kwargs):
        super().__init__(**kwargs)
        if l1 is not None:
            remedy = "Pass, for example, `l1=1e-4`."
            l1 = check_number("l1", l1, "[0, inf)", "a finite number >= 0", remedy)
        if l1 is not None and scale_regularizer is not None:
            raise ValueError(
                "Expected one of `l1` and `scale_regularizer`. "
                f"Received: l1={l1}, scale_regularizer={scale_regularizer}. "
                "Pass `keras.regularizers.L1(l1)`, or your own regularizer, alone."
            )
        if l1:
            scale_regularizer = keras.regularizers.L1(l1)
        self.scale_regularizer = deserialized(
            "scale_regularizer", keras.regularizers.get, scale_regularizer
        )

    def add_scale_and_mask(self, count):
        """Creates the weights `scale` and `mask` of shape `(count,)`, ones at first."""
        self.scale = self.add_weight(
            name="scale",
            shape=(count,),
            initializer="ones",
            regularizer=self.scale_regularizer,
        )
        self.mask = self.add_weight(
            name="mask", shape=(count,), initializer="ones", trainable=False
        )

    def parts(self) -> tuple["TrainedMask", ...]:
        """Returns the layers that hold scales and masks: this one.

        `layers.JoinedMasks` has several.
        """
        return (self,)

    @property
    def weighs(self) -> tuple[str, str]:
        """What the layer scales: `("bases", layer)` or `("channels", layer)`.

        For bases, `layer` is the name of the layer that was decomposed.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks `weighs`")

    def strength(self) -> np.ndarray:
        """Returns how much each contributes, a float64 array of shape `(count,)`, >= 0.

        Masks do not matter: a masked one is as strong as without its mask.
        """
        return np.abs(_array(self.scale))

    def factors(self) -> np.ndarray:
        """Returns the factors in inference, a float64 array of shape `(count,)`."""
        return _array(self.scale) * _array(self.mask)

    def unmasked(self) -> np.ndarray:
        """Returns a boolean array of shape `(count,)`: those that are not masked."""
        return _array(self.mask) > 0

    def get_config(self):
        regularizer = keras.regularizers.serialize(self.scale_regularizer)
        return {**super().get_config(), "scale_regularizer": regularizer}


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)
