"""Diff pruning: many tasks from one network, each a sparse difference to it."""

from keras_basisprune.methods.diff_pruning.delta_overlap import DeltaOverlap
from keras_basisprune.methods.diff_pruning.deltas_by_share import deltas_by_share
from keras_basisprune.methods.diff_pruning.diff_options import DiffOptions
from keras_basisprune.methods.diff_pruning.diff_pruning import diff_pruning
from keras_basisprune.methods.diff_pruning.new_head import new_head
from keras_basisprune.methods.diff_pruning.task_delta import TaskDelta
from keras_basisprune.methods.diff_pruning.weight_change import WeightChange

__all__ = [
    "DeltaOverlap",
    "DiffOptions",
    "TaskDelta",
    "WeightChange",
    "deltas_by_share",
    "diff_pruning",
    "new_head",
]
