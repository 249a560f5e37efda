"""Layers and functions that a process with TensorFlow has to import."""

import keras


@keras.saving.register_keras_serializable("foreign_layers")
class Shifted(keras.layers.Layer):
    def __init__(self, shift=0.0, **options):
        super().__init__(**options)
        self.shift = shift

    def build(self, shape):
        self.factor = self.add_weight(shape=shape[-1:], initializer="ones")

    def call(self, x):
        return x * self.factor + self.shift

    def get_config(self):
        return {**super().get_config(), "shift": self.shift}


@keras.saving.register_keras_serializable("foreign_layers")
def bent(x):
    return keras.ops.where(x > 0, x, 0.3 * x)


class Doubled(keras.layers.Layer):
    """Not registered."""

    def call(self, x):
        return 2 * x
