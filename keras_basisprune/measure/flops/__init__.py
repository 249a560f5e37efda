"""Multiply-adds of one call, from the shapes of its tensors and weights."""

from keras_basisprune.measure.flops._shapes import Shapes
from keras_basisprune.measure.flops.call_flops import call_flops

__all__ = ["Shapes", "call_flops"]
