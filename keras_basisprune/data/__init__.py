"""Images to train and measure on, from various sources."""

from keras_basisprune.data.application import application
from keras_basisprune.data.sources import ImageData, load_data

__all__ = ["ImageData", "application", "load_data"]
