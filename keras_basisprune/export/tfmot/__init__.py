"""Models of Keras 3 in TensorFlow Model Optimization, which needs `tf_keras`."""

from keras_basisprune.export.tfmot.from_tf_keras import from_tf_keras
from keras_basisprune.export.tfmot.to_tf_keras import to_tf_keras

__all__ = ["from_tf_keras", "to_tf_keras"]
