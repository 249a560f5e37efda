"""Make big pre-trained Keras networks small: basis pruning for Keras 3."""

from keras_basisprune.graph import flatten
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.methods import convert
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.surgery import fold, prune

__all__ = ["BasisScalingConv", "Kept", "Plan", "convert", "flatten", "fold", "prune"]
