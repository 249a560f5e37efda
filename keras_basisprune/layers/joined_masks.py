"""The layer that weighs the channels of several layers, set side by side."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_basisprune.layers._channel_mask import ChannelMask
from keras_basisprune.layers.trained_mask import TrainedMask
from keras_basisprune.utils.check_choice import check_choice


@keras.saving.register_keras_serializable(package="keras_basisprune")
class JoinedMasks(TrainedMask):
    """Multiplies channels that were concatenated, each layer's by its own factors.

    Where channels are activated only after they were joined to those of other layers
    (DenseNet), a layer for each would be called on a slice of each concatenation. This
    one holds a layer for each (`layers.ChannelScaling`, `layers.ChannelGate`), and
    multiplies once. It is called wherever some of them are read. Each of its parts is
    a `TrainedMask`, which is masked, scored, planned and trained like any other.

    Args:
        masks: A list of the layers that weigh the channels, or their configs.
        widths: A list of integers, the number of channels of each.
        order: A list of integers: which parts the input consists of, one after the
            other. `-n` stands for `n` channels that are not weighed. Defaults to all
            parts as they are listed. Each part has to be in it.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to Keras' own.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of shape `(batch, ..., channels)`, or `(batch, channels, ...)`
            with `"channels_first"`; `(batch, channels)` with either.
        parts: What this input consists of, if that is not `order`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If the arguments contradict each other.

    Example:

    >>> masks = [keras_basisprune.layers.ChannelScaling(name=n) for n in ("a", "b")]
    >>> layer = keras_basisprune.layers.JoinedMasks(masks, widths=[4, 2])
    >>> layer(keras.ops.ones((1, 8, 8, 6))).shape
    (1, 8, 8, 6)
    >>> layer(keras.ops.ones((1, 8, 8, 4)), parts=(0,)).shape
    (1, 8, 8, 4)
    """

    def __init__(
        self,
        masks: Sequence[Any],
        widths: Sequence[int],
        order: Sequence[int] | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("scale_regularizer", None)
        super().__init__(**kwargs)
        formats = ("channels_last", "channels_first", None)
        remedy = "Leave it out for Keras' own setting."
        check_choice("data_format", data_format, formats, remedy)
        self.data_format = data_format or keras.config.image_data_format()
        self.widths = [int(width) for width in widths]
        self.order = list(range(len(self.widths)) if order is None else map(int, order))
        whole = set(range(len(self.widths))) == {
            part for part in self.order if part >= 0
        }
        if len(masks) != len(self.widths) or not whole:
            raise ValueError(
                "Expected `masks` and `widths` of the same length, and `order` to name "
                f"each part. Received: {len(masks)} masks, widths={self.widths}, "
                f"order={self.order}. Leave `order` out for all as they are listed."
            )
        for number, mask in enumerate(masks):
            if isinstance(mask, dict):
                mask = keras.saving.deserialize_keras_object(mask)
            if not isinstance(mask, ChannelMask):
                raise ValueError(
                    "Expected `masks` to be layers that weigh channels. Received: one "
                    f"of type {type(mask).__name__}. Pass `ChannelScaling`s, say."
                )
            setattr(self, f"part_{number}", mask)  # so that a path leads to weights
        self.supports_masking = True

    def parts(self) -> tuple[TrainedMask, ...]:
        """Returns the layers that hold scales and masks, in the order of `widths`."""
        return tuple(getattr(self, f"part_{n}") for n in range(len(self.widths)))

    @property
    def weighs(self) -> tuple[str, str]:
        """Channels; `parts()` say of which layers."""
        return "channels", self.name

    def width(self, parts: Sequence[int] | None = None) -> int:
        """Returns the number of channels of an input.

        Args:
            parts: What it consists of. Defaults to `order`.
        """
        return sum(stop - start for _, start, stop in self.slices(parts))

    def slices(self, parts: Sequence[int] | None = None) -> list[tuple[int, int, int]]:
        """Returns the part (or a negative number) of an input, and where it is.

        Args:
            parts: What the input consists of. Defaults to `order`.

        Returns:
            A list of tuples `(part, start, stop)`.
        """
        found, start = [], 0
        for part in self.order if parts is None else parts:
            stop = start + (self.widths[part] if part >= 0 else -part)
            found.append((int(part), start, stop))
            start = stop
        return found

    def build(self, input_shape: Sequence[int | None]) -> None:
        for mask, width in zip(self.parts(), self.widths, strict=True):
            if not mask.built:
                mask.build((None, width))

    def call(
        self,
        inputs: Any,
        parts: Sequence[int] | None = None,
        training: bool | None = None,
    ) -> Any:
        masks = self.parts()
        rows = [
            masks[part].multipliers(training)
            if part >= 0
            else ops.ones((stop - start,), masks[0].scale.dtype)
            for part, start, stop in self.slices(parts)
        ]
        shape = [1] * len(inputs.shape)
        first = self.data_format == "channels_first" and len(shape) > 2
        shape[1 if first else -1] = self.width(parts)
        factors = ops.cast(ops.concatenate(rows), self.compute_dtype)
        return inputs * ops.reshape(factors, shape)

    def compute_output_shape(
        self, input_shape: Sequence[int | None]
    ) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def strength(self, parts: Sequence[int] | None = None) -> np.ndarray:
        """Returns how much each channel of an input contributes, `inf` if not weighed.

        Args:
            parts: What the input consists of. Defaults to `order`.
        """
        return self._of_parts(parts, lambda mask: mask.strength(), np.inf)

    def factors(self, parts: Sequence[int] | None = None) -> np.ndarray:
        """Returns the factors of an input's channels in inference: float64.

        Args:
            parts: What the input consists of. Defaults to `order`.
        """
        return self._of_parts(parts, lambda mask: mask.factors(), 1.0)

    def unmasked(self, parts: Sequence[int] | None = None) -> np.ndarray:
        """Returns which of an input's channels are not masked: a boolean array.

        Args:
            parts: What the input consists of. Defaults to `order`.
        """
        return self._of_parts(parts, lambda mask: mask.unmasked(), True)

    def _of_parts(self, parts, value, otherwise):
        return np.concatenate(
            [
                value(self.parts()[part])
                if part >= 0
                else np.full(stop - start, otherwise)
                for part, start, stop in self.slices(parts)
            ]
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["scale_regularizer"]
        return {
            **config,
            "masks": [_config(mask) for mask in self.parts()],
            "widths": list(self.widths),
            "order": list(self.order),
            "data_format": self.data_format,
        }


def _config(mask) -> dict[str, Any]:
    """How to make a layer anew, unbuilt: `widths` says how many channels it has."""
    config = keras.saving.serialize_keras_object(mask)
    return {key: value for key, value in config.items() if key != "build_config"}
