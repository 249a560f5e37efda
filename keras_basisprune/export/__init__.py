"""Exports of plain Keras models to files, complete or not at all."""

from keras_basisprune.export import tfmot
from keras_basisprune.export._tflite_export import TFLiteExport
from keras_basisprune.export.export_saved_model import (
    SavedModelExport,
    export_saved_model,
)
from keras_basisprune.export.export_tflite import export_tflite
from keras_basisprune.export.predict_tflite import predict_tflite
from keras_basisprune.export.read_labels import read_labels

__all__ = [
    "SavedModelExport",
    "TFLiteExport",
    "export_saved_model",
    "export_tflite",
    "predict_tflite",
    "read_labels",
    "tfmot",
]
