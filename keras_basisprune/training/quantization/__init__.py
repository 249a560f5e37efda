"""Training of networks that round as an int8 file does."""

from keras_basisprune.training.quantization.quantize_aware import quantize_aware
from keras_basisprune.training.quantization.select_weight_bits import (
    select_weight_bits,
)

__all__ = ["quantize_aware", "select_weight_bits"]
