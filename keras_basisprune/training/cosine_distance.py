"""How far vectors point in other directions."""

import keras


@keras.saving.register_keras_serializable(package="keras_basisprune")
class CosineDistance(keras.losses.Loss):
    """1 minus the cosine of the angle between vectors, along the last axis."""

    def __init__(self, name="cosine_distance", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        one, other = (keras.ops.normalize(y, axis=-1) for y in (y_true, y_pred))
        return 1.0 - keras.ops.sum(one * other, axis=-1)
