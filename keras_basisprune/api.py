"""The public names of `keras_basisprune`."""

from keras_basisprune import methods, plans, scores
from keras_basisprune.data import ImageData, load_data
from keras_basisprune.data.application import application
from keras_basisprune.export import export_saved_model, export_tflite
from keras_basisprune.graph import (
    ChannelGroups,
    Channels,
    Rule,
    channel_groups,
    channel_rule,
    flatten,
)
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure import (
    LatencyTable,
    accuracy,
    compare,
    cost,
    describe,
    latency,
    plot_bases,
    plot_comparison,
)
from keras_basisprune.methods import METHODS, convert, slimming
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.report import write_report
from keras_basisprune.search.compress import compress
from keras_basisprune.search.result import CompressionResult
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.search.trial import Trial
from keras_basisprune.surgery import fold, prune
from keras_basisprune.surgery.compensate import compensate
from keras_basisprune.surgery.recalibrate import recalibrate
from keras_basisprune.training import L1Thresholding
from keras_basisprune.training.recover import Recovery, recover
from keras_basisprune.training.sparsify import Recipe, sparsify
from keras_basisprune.version import __version__

__all__ = [
    "BasisScalingConv",
    "ChannelGroups",
    "Channels",
    "CompressionResult",
    "ImageData",
    "Kept",
    "L1Thresholding",
    "LatencyTable",
    "METHODS",
    "Limits",
    "Plan",
    "Recipe",
    "Recovery",
    "Rule",
    "SearchOptions",
    "Trial",
    "__version__",
    "accuracy",
    "application",
    "channel_groups",
    "channel_rule",
    "compare",
    "compensate",
    "compress",
    "convert",
    "cost",
    "describe",
    "export_saved_model",
    "export_tflite",
    "flatten",
    "fold",
    "latency",
    "load_data",
    "methods",
    "plans",
    "plot_bases",
    "plot_comparison",
    "prune",
    "recalibrate",
    "recover",
    "scores",
    "select_bases",
    "select_channels",
    "slimming",
    "sparsify",
    "write_report",
]
