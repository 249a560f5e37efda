"""Models of Keras 3 in TensorFlow Model Optimization, which needs `tf_keras`."""

from keras_basisprune.export.tfmot.cluster_weights import cluster_weights
from keras_basisprune.export.tfmot.export_quantize_aware import export_quantize_aware
from keras_basisprune.export.tfmot.from_tf_keras import from_tf_keras
from keras_basisprune.export.tfmot.prune_low_magnitude import prune_low_magnitude
from keras_basisprune.export.tfmot.to_tf_keras import to_tf_keras

__all__ = [
    "cluster_weights",
    "export_quantize_aware",
    "from_tf_keras",
    "prune_low_magnitude",
    "to_tf_keras",
]
