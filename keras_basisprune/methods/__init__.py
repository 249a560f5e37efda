"""Published methods: `METHODS` lists them, each a `Method` with its source."""

from keras_basisprune.methods.channel_gates import channel_gates
from keras_basisprune.methods.channel_scaling import channel_scaling
from keras_basisprune.methods.channel_scaling_method import channel_scaling_method
from keras_basisprune.methods.compensation_aware import compensation_aware
from keras_basisprune.methods.convert import convert
from keras_basisprune.methods.diff_pruning import (
    DeltaOverlap,
    DiffOptions,
    TaskDelta,
    WeightChange,
    deltas_by_share,
    diff_pruning,
    new_head,
)
from keras_basisprune.methods.iterations import Iterations
from keras_basisprune.methods.method import Method
from keras_basisprune.methods.prune_iteratively import (
    Iteration,
    IterationResult,
    prune_iteratively,
)
from keras_basisprune.methods.slimming import slimming
from keras_basisprune.methods.structural_search import StructuralSearch
from keras_basisprune.methods.table import METHODS
from keras_basisprune.methods.tolerated_drops import tolerated_drops

__all__ = [
    "METHODS",
    "DeltaOverlap",
    "DiffOptions",
    "Iteration",
    "IterationResult",
    "Iterations",
    "Method",
    "StructuralSearch",
    "TaskDelta",
    "WeightChange",
    "channel_gates",
    "channel_scaling",
    "channel_scaling_method",
    "compensation_aware",
    "convert",
    "deltas_by_share",
    "diff_pruning",
    "new_head",
    "prune_iteratively",
    "slimming",
    "tolerated_drops",
]
