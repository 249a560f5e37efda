"""The protocol of what is trained: what a layer weighs, and how strong each is."""

import keras
import numpy as np

from keras_basisprune.layers._what_keras_makes import what_keras_makes
from keras_basisprune.utils.check_number import check_number


class TrainedMask(keras.layers.Layer):
    """Base of layers whose training says which bases or channels may leave.

    A method that trains has a layer of this kind. Everything else knows this protocol
    and not the layer: `L1Thresholding` masks the weak ones, `Plan.from_masks` and
    `prune` read the masks, `fold` multiplies `factors()` into other layers, `recover`
    trains the scales, and `scores.magnitude`, `energy` and `taylor` score them.

    A subclass

    - calls `add_scale_and_mask(count)` in `build`: `scale` (trainable) and `mask` (1 or
      0, not trainable), of shape `(count,)`. Further weights per basis or channel have
      this shape too.
    - says by `weighs` what they stand for: `("bases", layer)` or `("channels", layer)`,
      where `layer` is the name by which plans and scores go.
    - says by `strength()` how much each contributes, and by `factors()` what each is
      multiplied by in inference, if that is not `|scale|` and `scale * mask`.

    A layer that weighs channels multiplies them by its factors and does nothing else.
    The channel axis is the last one or, with an attribute
    `data_format="channels_first"`, the first. A channel that is masked leaves for good
    when the model is pruned. Outputs stay as they are by that if all that reads the
    channel reads it behind such a layer, and makes nothing of zeros: so it belongs
    behind BatchNormalization and activation, and to channels that may leave
    (`channel_groups`). Channels that are tied together share one layer. No rule of its
    own is needed.

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
        self.scale_regularizer = what_keras_makes(
            "scale_regularizer", keras.regularizers.get, scale_regularizer
        )

    def add_scale_and_mask(self, count):
        """Makes the weights `scale` and `mask` of shape `(count,)`, ones at first."""
        self.scale = self.add_weight(
            name="scale",
            shape=(count,),
            initializer="ones",
            regularizer=self.scale_regularizer,
        )
        self.mask = self.add_weight(
            name="mask", shape=(count,), initializer="ones", trainable=False
        )

    @property
    def weighs(self) -> tuple[str, str]:
        """`("bases", layer)` or `("channels", layer)`: what is weighed, and of which.

        Of a converted layer the name is that of the layer which was decomposed.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks `weighs`")

    def strength(self) -> np.ndarray:
        """How much each contributes: a float64 array of shape `(count,)`, not negative.

        What is masked is as strong as it would be without its mask.
        """
        return np.abs(_array(self.scale))

    def factors(self) -> np.ndarray:
        """What each is multiplied by in inference, a float64 array of `(count,)`."""
        return _array(self.scale) * _array(self.mask)

    def unmasked(self) -> np.ndarray:
        """Boolean array of shape `(count,)`: those that are not masked."""
        return _array(self.mask) > 0

    def get_config(self):
        regularizer = keras.regularizers.serialize(self.scale_regularizer)
        return {**super().get_config(), "scale_regularizer": regularizer}


def _array(variable):
    return keras.ops.convert_to_numpy(variable.value).astype(np.float64)
