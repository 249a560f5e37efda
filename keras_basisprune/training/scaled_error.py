"""Squared errors in relation to the variance of what is to be learned."""

import keras


@keras.saving.register_keras_serializable(package="keras_basisprune")
class ScaledSquaredError(keras.losses.Loss):
    """Mean squared error, divided by variances on the last axis.

    So it is the share of the variance that is not explained, whatever the unit, and
    outputs of several units (a width, an angle) count alike.

    Args:
        variances: List of floats > 0, one per entry of the last axis.
        **kwargs: Passed on to `keras.losses.Loss`.
    """

    def __init__(self, variances, name="scaled_squared_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.variances = [float(value) for value in variances]

    def call(self, y_true, y_pred):
        scale = keras.ops.convert_to_tensor(
            [value**-0.5 for value in self.variances], y_pred.dtype
        )
        return keras.ops.mean(keras.ops.square((y_true - y_pred) * scale), axis=-1)

    def get_config(self):
        return {**super().get_config(), "variances": self.variances}
