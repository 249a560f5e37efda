"""Training of networks that round as an int8 file does."""

from keras_basisprune.training.quantization.quantize_aware import quantize_aware

__all__ = ["quantize_aware"]
