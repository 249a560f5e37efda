"""The layer that rounds the kernel of another layer as an int8 file does."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_basisprune.layers._few_digits import few_digits
from keras_basisprune.layers._integer_operations import whole
from keras_basisprune.layers._round_through import round_through
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_whole import check_whole

_SMALLEST = 1e-12  # largest absolute weight of a channel, if all are zero


@keras.saving.register_keras_serializable(package="keras_basisprune")
class QuantizedWeights(keras.layers.Wrapper):
    """Calls a convolution or dense layer with a rounded kernel.

    Each output channel has a scale of its own: its weights are rounded to integers
    between -127 and 127 (at 8 bits) times the scale, as in LiteRT. Gradients pass to
    the weights as if they were only clipped. The bias is rounded to 32-bit integers
    times that scale and the scale of the inputs, if this is known.

    If the scale of the outputs is known, too, the layer computes in integers out of
    training, and rounds its outputs as LiteRT does: not a single one differs from the
    file (but for sums beyond 2^24, which float32 can't hold).

    Args:
        layer: A `keras.layers` convolution (depthwise and transposed ones too) or
            `Dense`. Its activation is applied behind it as usual.
        bits: Integer, 2 to 8.
        ranges: `"moving"`: the scale follows the largest absolute weight;
            `"learned"`: it is trained by gradients, and is at most that.
        **kwargs: Passed on to `keras.layers.Layer`.

    Call arguments:
        inputs: A tensor, as `layer` takes it.
        input_scale: A tensor of shape `()`, from `FakeQuantize(...)(scale_only=True)`.
        output_scale: The same of the rounded outputs, or of their ReLU.

    Weights:
        Those of `layer`. For `"learned"` also `limit`, not trainable, and `growth`,
        trainable, of shape `(channels,)`: weights are clipped at `limit * exp(growth)`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> layer = keras_basisprune.layers.QuantizedWeights(keras.layers.Conv2D(8, 3))
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        bits: int = 8,
        ranges: str = "moving",
        **kwargs: Any,
    ) -> None:
        super().__init__(layer, **kwargs)
        self.bits = check_whole("bits", bits, 2, 8, "Pass 8 or 4.")
        check_choice("ranges", ranges, ("moving", "learned"))
        self.ranges = ranges
        self.supports_masking = layer.supports_masking

    @classmethod
    def accepts(cls, layer: Any) -> bool:
        """Returns whether LiteRT has integer kernels for a layer."""
        return type(layer) in _CHANNEL_AXES

    def build(self, input_shape: Sequence[int | None]) -> None:
        super().build(input_shape)
        if self.ranges == "learned":
            shape = self._channels()
            self.limit = self.add_weight(
                name="limit", shape=shape, initializer="ones", trainable=False
            )
            self.growth = self.add_weight(
                name="growth", shape=shape, initializer="zeros"
            )

    def call(
        self,
        inputs: Any,
        input_scale: Any = None,
        output_scale: Any = None,
        training: bool | None = None,
    ) -> Any:
        high = self._high()
        kernel = self._rounded(high)
        if input_scale is None:
            return self._call(inputs, kernel)
        scales = high / self._most
        unit = self._unit(scales, input_scale)
        if training or output_scale is None or not self._has_exact_sums():
            return self._call(inputs, kernel, self._rounded_bias(unit))
        places, weights = whole(inputs / input_scale), whole(kernel / scales)
        bias = whole(self.layer.bias.value / unit) if self.layer.use_bias else None
        sums = self._call(places, weights, bias, linear=True)
        sums = whole(sums * (unit / output_scale))
        return self.layer.activation(sums * output_scale)

    def _call(self, inputs, kernel, bias=None, linear=False):
        """Calls the layer with other weights."""
        layer = self.layer
        instead = {id(layer.kernel): kernel}
        if bias is not None:
            instead[id(layer.bias)] = bias
        trained, others = (
            [instead.get(id(v), v.value) for v in variables]
            for variables in (layer.trainable_variables, layer.non_trainable_variables)
        )
        activation = layer.activation
        try:
            if linear:
                layer.activation = keras.activations.linear
            return layer.stateless_call(trained, others, inputs)[0]
        finally:
            layer.activation = activation

    def _has_exact_sums(self):
        """Returns whether float32 is computed with, and channels are last."""
        last = getattr(self.layer, "data_format", None) != "channels_first"
        return last and self.compute_dtype == self.layer.compute_dtype == "float32"

    def _rounded_bias(self, unit):
        """Returns the bias, whole numbers of a unit; `None` if there is none."""
        if not self.layer.use_bias:
            return None
        bias = self.layer.bias.value
        return bias + ops.stop_gradient(ops.round(bias / unit) * unit - bias)

    def limits_of(self, kernel: np.ndarray) -> np.ndarray:
        """Returns where weights of each channel should be clipped.

        At 8 bits that is the largest absolute weight; at fewer bits, a share of it at
        which rounding and clipping change the weights least, in squares.

        Args:
            kernel: Array of the kernel's shape.
        """
        largest = ops.convert_to_numpy(self._largest(kernel))
        shares = [1.0] if self.bits == 8 else np.linspace(1.0, 0.3, 15)
        steps = self._most
        others = tuple(i for i, size in enumerate(largest.shape) if size == 1)
        errors = []
        for share in shares:
            scale = few_digits((share * largest / steps).astype("float32"))
            places = np.clip(np.round(kernel / scale), -steps, steps)
            errors.append(np.sum((places * scale - kernel) ** 2, others, keepdims=True))
        limits = np.take(shares, np.argmin(errors, axis=0)) * largest
        return np.ravel(steps * few_digits((limits / steps).astype("float32")))

    def rounded(self) -> Any:
        """Returns the rounded kernel, a tensor of the kernel's shape."""
        return self._rounded(self._high())

    def rounded_bias(self, input_scale: float) -> np.ndarray:
        """Returns the bias as it is rounded.

        Args:
            input_scale: The scale of the inputs.

        Returns:
            An array of shape `(channels,)`.
        """
        scale = ops.convert_to_tensor(input_scale, "float32")
        unit = self._unit(self._high() / self._most, scale)
        return ops.convert_to_numpy(self._rounded_bias(unit))

    def _unit(self, scales, input_scale):
        """Returns the scales of the outputs before they are rounded."""
        return ops.reshape(scales, (-1,)) * input_scale

    def _rounded(self, high):
        return round_through(
            self.layer.kernel.value, -high, high, 2**self.bits - 2, True
        )

    def _high(self):
        """Returns where weights are clipped, in the shape that fits the kernel."""
        high = ops.stop_gradient(self._largest(self.layer.kernel.value))
        if self.ranges == "learned":
            learned = ops.reshape(self.limit * ops.exp(self.growth), high.shape)
            # No more than the largest weight: then one has the largest integer, and
            # LiteRT's converter finds the scale from the weights.
            high = learned + ops.stop_gradient(ops.minimum(learned, high) - learned)
        exact = self._most * few_digits(high / self._most)
        return high + ops.stop_gradient(exact - high)

    @property
    def _most(self) -> int:
        """The largest integer of a weight."""
        return 2 ** (self.bits - 1) - 1

    def compute_output_spec(
        self, inputs: Any, input_scale: Any = None, output_scale: Any = None
    ) -> keras.KerasTensor:
        shape = self.layer.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        own = {"bits": self.bits, "ranges": self.ranges}
        return {**super().get_config(), **own}

    def _axes(self):
        return _CHANNEL_AXES[type(self.layer)]

    def _channels(self):
        kernel = self.layer.kernel.shape
        return (int(np.prod([kernel[axis] for axis in self._axes()])),)

    def _largest(self, kernel):
        ndim = len(kernel.shape)
        kept = {axis % ndim for axis in self._axes()}
        others = [axis for axis in range(ndim) if axis not in kept]
        largest = ops.max(ops.abs(kernel), axis=others, keepdims=True)
        return ops.maximum(largest, _SMALLEST)


# The axes of a kernel that its output channels are on.
_CHANNEL_AXES = {
    keras.layers.Conv1D: (-1,),
    keras.layers.Conv2D: (-1,),
    keras.layers.Conv1DTranspose: (-2,),
    keras.layers.Conv2DTranspose: (-2,),
    keras.layers.DepthwiseConv1D: (-2, -1),
    keras.layers.DepthwiseConv2D: (-2, -1),
    keras.layers.Dense: (-1,),
}
