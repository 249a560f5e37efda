"""Published methods: `METHODS` lists them, each a `Method` with its source."""

from keras_basisprune.methods.channel_scaling import channel_scaling
from keras_basisprune.methods.channel_scaling_method import channel_scaling_method
from keras_basisprune.methods.convert import convert
from keras_basisprune.methods.iterations import Iterations
from keras_basisprune.methods.method import Method
from keras_basisprune.methods.prune_iteratively import (
    Iteration,
    IterationResult,
    prune_iteratively,
)
from keras_basisprune.methods.slimming import slimming
from keras_basisprune.methods.table import METHODS

__all__ = [
    "METHODS",
    "Iteration",
    "IterationResult",
    "Iterations",
    "Method",
    "channel_scaling",
    "channel_scaling_method",
    "convert",
    "prune_iteratively",
    "slimming",
]
