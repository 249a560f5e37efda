"""Make big pre-trained Keras networks small: basis pruning for Keras 3."""

from keras_basisprune import scores
from keras_basisprune.graph import flatten
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure import compare, cost, describe
from keras_basisprune.methods import convert
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.select import Limits, select
from keras_basisprune.surgery import fold, prune
from keras_basisprune.training import L1Thresholding
from keras_basisprune.version import __version__

__all__ = [
    "BasisScalingConv",
    "Kept",
    "L1Thresholding",
    "Limits",
    "Plan",
    "__version__",
    "compare",
    "convert",
    "cost",
    "describe",
    "flatten",
    "fold",
    "prune",
    "scores",
    "select",
]
