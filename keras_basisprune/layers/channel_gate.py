"""The layer that opens and closes channels by trainable logits."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_basisprune.layers._channel_mask import ChannelMask
from keras_basisprune.utils.check_number import check_number


@keras.saving.register_keras_serializable(package="keras_basisprune")
class ChannelGate(ChannelMask):
    """Lets channels pass, or closes them, by a trainable logit each.

    In inference a gate is open (1) where its logit is positive, and closed (0) where it
    is not. In training it is `sigmoid(logit / low)`, nearly the same, but its gradient
    is that of `sigmoid(logit / high)`, which does not vanish: closed gates can open
    again. What is masked stays closed.

    It stands where the channels are read by the layers behind it: behind
    BatchNormalization and activation, where both follow. Channels that the architecture
    ties together share one layer, which is called at each such place.
    `keras_basisprune.methods.channel_gates` puts it there.

    Source: Colombo, Gao 2021, *Differentiable Architecture Pruning for Transfer
    Learning* (arXiv:2107.03375): two-temperature relaxation.

    Args:
        low: Float > 0, the temperature of the forward pass in training.
        high: Float >= `low`, the temperature of the gradient.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras' own.
        scale_regularizer: Any Keras regularizer of `scale`.
        l1: Float, short form for `scale_regularizer=keras.regularizers.L1(l1)`. Give
            one of the two.
        **kwargs: Passed on to `keras.layers.Layer`. `name` says what is weighed:
            `<layer>_channel_gate` weighs the channels of `<layer>`.

    Input shape:
        `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`;
        `(batch, channels)` with either.

    Output shape:
        The same.

    Weights:
        `scale` of shape `(channels,)`, trainable: the logits. `mask` of the same
        shape, not trainable. Ones at first: all gates are open.

    Raises:
        ValueError: If an argument is out of its range, or the number of channels is not
            known when the layer is built.

    Example:

    >>> gate = keras_basisprune.layers.ChannelGate()
    >>> _ = gate(keras.ops.ones((1, 3)))
    >>> gate.scale.assign([-1.0, 0.5, 2.0])
    >>> gate(keras.ops.ones((1, 3)))
    array([[0., 1., 1.]], dtype=float32)
    """

    suffix = "_channel_gate"

    def __init__(
        self,
        low: float = 0.1,
        high: float = 1.0,
        data_format: str | None = None,
        scale_regularizer: Any = None,
        l1: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, scale_regularizer, l1, **kwargs)
        self.low, self.high = check_temperatures(low, high)

    def multipliers(self, training: bool | None = None) -> Any:
        """What each channel is multiplied by: a tensor of shape `(channels,)`.

        Args:
            training: Whether as in training: nearly binary, with a gradient.
        """
        if not training:
            return ops.cast(self.scale > 0, self.scale.dtype) * self.mask
        relaxed = ops.sigmoid(self.scale / self.high)
        sharp = ops.sigmoid(self.scale / self.low)
        return (ops.stop_gradient(sharp - relaxed) + relaxed) * self.mask

    def strength(self) -> np.ndarray:
        """`low * log(1 + exp(logit / low))`: the logit where it is open, else about 0.

        A float64 array of shape `(channels,)`, in the order of the logits.
        """
        return self.low * np.logaddexp(0.0, self._logits() / self.low)

    def factors(self) -> np.ndarray:
        """1 where it is open and not masked, else 0: float64 of shape `(channels,)`."""
        return self.unmasked().astype(np.float64)

    def unmasked(self) -> np.ndarray:
        """Boolean array of shape `(channels,)`: those that are open and not masked."""
        return super().unmasked() & (self._logits() > 0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}

    def _logits(self):
        return ops.convert_to_numpy(self.scale.value).astype(np.float64)


def check_temperatures(low, high) -> tuple[float, float]:
    """Two numbers, `0 < low <= high`; raises `ValueError` if they are not."""
    remedy = "Start with low=0.1, high=1.0."
    low = check_number("low", low, "(0, inf)", "a finite number > 0", remedy)
    high = check_number("high", high, f"[{low}, inf)", "a number >= `low`", remedy)
    return low, high
