"""Images to train and measure on, from various sources."""

from keras_basisprune.data.application import application
from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.random_crops import random_crops
from keras_basisprune.data.relevance.beam.select_relevant_on_beam import (
    select_relevant_on_beam,
)
from keras_basisprune.data.relevance.contact_sheet import contact_sheet
from keras_basisprune.data.relevance.relevance import Relevance
from keras_basisprune.data.relevance.select_relevant import select_relevant
from keras_basisprune.data.sources import ImageData, load_data
from keras_basisprune.data.spilling import spilling

__all__ = [
    "BeamSource",
    "ImageData",
    "Relevance",
    "application",
    "contact_sheet",
    "load_data",
    "random_crops",
    "select_relevant",
    "select_relevant_on_beam",
    "spilling",
]
