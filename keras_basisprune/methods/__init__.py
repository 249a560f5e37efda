"""Published methods: `METHODS` lists them, each a `Method` with its source."""

from keras_basisprune.methods.compensation_aware import compensation_aware
from keras_basisprune.methods.convert import convert
from keras_basisprune.methods.method import Method
from keras_basisprune.methods.slimming import slimming
from keras_basisprune.methods.structural_search import StructuralSearch
from keras_basisprune.methods.table import METHODS
from keras_basisprune.methods.tolerated_drops import tolerated_drops

__all__ = [
    "METHODS",
    "Method",
    "StructuralSearch",
    "compensation_aware",
    "convert",
    "slimming",
    "tolerated_drops",
]
