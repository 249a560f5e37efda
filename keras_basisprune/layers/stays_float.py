"""The layer that keeps the layer before it in float."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_basisprune")
class StaysFloat(keras.layers.Layer):
    """Passes its inputs on as float16.

    LiteRT's converter turns every operation between rounded inputs and outputs into an
    integer one, but not across this cast. It stands behind layers that
    `quantize_aware(exclude=...)` leaves in float.

    Args:
        **kwargs: Passed on to `keras.layers.Layer`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.cast(ops.cast(inputs, "float16"), self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
