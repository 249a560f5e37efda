"""The layer that scales basis features and maps them back to output channels."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_basisprune.layers._deserialized import deserialized
from keras_basisprune.layers.trained_mask import TrainedMask
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_whole import check_whole


@keras.saving.register_keras_serializable(package="keras_basisprune")
class BasisScalingConv(TrainedMask):
    """Scales basis features and maps them back to the original channels.

    It is the second half of a decomposed convolution (or dense layer). The first
    half is a plain convolution whose filters are the `r` orthonormal basis vectors
    `U`; this layer computes, at every position,

    `y = activation(((scale * mask) * x) @ kernel + bias)`

    with `kernel = diag(singular values) @ V^T`: a 1x1 convolution of any spatial
    rank, or a dense layer when the input has no spatial axes. If it is `centered`, the
    features' `mean` is subtracted from `x` first, so that the mean output is `bias`
    whichever bases are masked (for bases computed from data). Only `scale` is
    trainable. A basis with `mask == 0` contributes nothing, and is removed when the
    model is pruned.

    Source: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for
    Efficient Transfer Learning* (arXiv:2108.02893), section 3.1.

    Args:
        filters: Integer, the number of output channels `cout`.
        activation: Activation of the decomposed layer, applied last. Defaults to none.
        use_bias: Boolean, whether a (frozen) bias is added. Defaults to `True`.
        centered: Boolean, whether a (frozen) mean is subtracted from the features.
            Needs `use_bias=True`.
        scale_regularizer: Any Keras regularizer of `scale`.
        l1: Float, short form for `scale_regularizer=keras.regularizers.L1(l1)`. Give
            one of the two.
        energy: Float in (0, 1], the share of the decomposed matrix' energy (sum of
            squared singular values) that the `r` bases hold. For reports only.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras' own.
        **kwargs: Passed on to `keras.layers.Layer`.

    Input shape:
        `(batch, ..., r)`, or `(batch, r, ...)` with `"channels_first"` and at most
        three spatial axes.

    Output shape:
        As the input shape, with `filters` instead of `r`.

    Weights:
        `scale` of shape `(r,)`, trainable, ones at first; `mask` of shape `(r,)`,
        ones at first; `kernel` of shape `(r, filters)`, `bias` of shape `(filters,)`
        and, if centered, `mean` of shape `(r,)`, all frozen.

    Raises:
        ValueError: If `filters` is not positive, `data_format` is unknown, both `l1`
            and `scale_regularizer` are given, `centered` comes without bias, or the
            number of basis features is not known when the layer is built.

    Example:

    >>> layer = keras_basisprune.BasisScalingConv(8, l1=1e-4)
    >>> layer(keras.ops.ones((1, 16, 16, 3))).shape
    (1, 16, 16, 8)
    """

    def __init__(
        self,
        filters: int,
        activation: Any = None,
        use_bias: bool = True,
        scale_regularizer: Any = None,
        l1: float | None = None,
        energy: float = 1.0,
        data_format: str | None = None,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(scale_regularizer, l1, **kwargs)
        remedy = "Pass the number of output channels."
        filters = check_whole("filters", filters, remedy=remedy)
        use_bias = check_flag("use_bias", use_bias)
        centered = check_flag("centered", centered)
        remedy = "Pass 1.0 if no basis is missing."
        energy = check_number("energy", energy, "(0, 1]", remedy=remedy)
        if centered and not use_bias:
            raise ValueError(
                "Expected `use_bias=True` together with `centered=True`. Received: "
                "use_bias=False. The mean that is subtracted from the features is "
                "added again by the bias."
            )
        self.filters = filters
        self.activation = deserialized("activation", keras.activations.get, activation)
        self.use_bias = use_bias
        remedy = "Leave it out for Keras' own setting."
        formats = ("channels_last", "channels_first", None)
        check_choice("data_format", data_format, formats, remedy)
        self.energy = energy
        self.centered = centered
        self.data_format = data_format or keras.config.image_data_format()
        self.supports_masking = True

    def build(self, input_shape: Sequence[int | None]) -> None:
        most = 5 if self.data_format == "channels_first" else math.inf
        if not 2 <= len(input_shape) <= most:
            raise ValueError(
                "Expected an input with batch and channel axes (and at most three "
                "spatial ones if they come after the channels). "
                f"Received: input_shape={input_shape}. Flatten or reshape it."
            )
        axis = self._channel_axis(input_shape)
        rank = input_shape[axis]
        if rank is None:
            raise ValueError(
                "Expected an input with a known number of basis features. Received: "
                f"input_shape={input_shape}. Give `keras.Input` the size of the "
                "channel axis."
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={axis: rank})
        self.add_scale_and_mask(rank)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(rank, self.filters),
            initializer="glorot_uniform",
            trainable=False,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer="zeros", trainable=False
            )
        self.mean = None
        if self.centered:
            self.mean = self.add_weight(
                name="mean", shape=(rank,), initializer="zeros", trainable=False
            )

    def call(self, inputs: Any) -> Any:
        matrix = self.kernel * ops.expand_dims(self.scale * self.mask, -1)
        spatial = len(inputs.shape) - 2
        if 1 <= spatial <= 3:
            kernel = ops.reshape(matrix, (1,) * spatial + tuple(matrix.shape))
            outputs = ops.conv(inputs, kernel, data_format=self.data_format)
        else:
            outputs = ops.matmul(inputs, matrix)
        if self.bias is not None:
            shape = [1] * len(inputs.shape)
            shape[self._channel_axis(shape)] = self.filters
            bias = self.bias
            if self.mean is not None:
                bias = bias - ops.matmul(self.mean, matrix)
            outputs = ops.add(outputs, ops.reshape(bias, shape))
        return self.activation(outputs)

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        shape = list(input_shape)
        shape[self._channel_axis(shape)] = self.filters
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "energy": self.energy,
            "data_format": self.data_format,
            "centered": self.centered,
        }

    @property
    def weighs(self) -> tuple[str, str]:
        """Bases of the layer that was decomposed."""
        return "bases", self.name.removesuffix("_scaling")

    def singular_values(self) -> np.ndarray:
        """Returns the norms of the kernel's rows, a float64 array of shape `(r,)`.

        Since `V` is orthonormal, these are the singular values.
        """
        kernel = ops.convert_to_numpy(self.kernel.value)
        return np.linalg.norm(kernel.astype(np.float64), axis=1)

    def strength(self) -> np.ndarray:
        """Returns `|s_i| sigma_i` for each basis."""
        return super().strength() * self.singular_values()

    def _channel_axis(self, shape):
        return 1 if self.data_format == "channels_first" and len(shape) > 2 else -1
