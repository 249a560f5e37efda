"""Images to train and measure on, from wherever they lie."""

from keras_basisprune.data.application import application
from keras_basisprune.data.sources import ImageData, load_data

__all__ = ["ImageData", "application", "load_data"]
