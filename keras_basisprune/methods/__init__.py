from keras_basisprune.methods.convert import convert
from keras_basisprune.methods.slimming import slimming

__all__ = ["convert", "slimming"]
