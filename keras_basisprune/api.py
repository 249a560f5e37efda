"""The most important public names of `keras_basisprune`.

All others are in the subpackages, `keras_basisprune.measure.cost` for example;
`docs/api.md` lists both.
"""

from keras_basisprune import (
    data,
    export,
    graph,
    layers,
    measure,
    methods,
    plans,
    report,
    scores,
    search,
    surgery,
    training,
)
from keras_basisprune.data import load_data
from keras_basisprune.export import export_saved_model, export_tflite
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.measure import LatencyTable, compare, describe
from keras_basisprune.methods import TaskDelta, convert
from keras_basisprune.plans import (
    Limits,
    Plan,
    Sensitivity,
    select_bases,
    select_channels,
    sensitivity,
)
from keras_basisprune.search import CompressionResult, SearchOptions, compress
from keras_basisprune.surgery import compensate, fold, fresh, prune
from keras_basisprune.training import (
    L1Thresholding,
    Recipe,
    Recovery,
    quantize_aware,
    recover,
    sparsify,
)
from keras_basisprune.version import __version__

__all__ = [
    "BasisScalingConv",
    "CompressionResult",
    "L1Thresholding",
    "LatencyTable",
    "Limits",
    "Plan",
    "Recipe",
    "Recovery",
    "SearchOptions",
    "Sensitivity",
    "TaskDelta",
    "__version__",
    "compare",
    "compensate",
    "compress",
    "convert",
    "data",
    "describe",
    "export",
    "export_saved_model",
    "export_tflite",
    "fold",
    "fresh",
    "graph",
    "layers",
    "load_data",
    "measure",
    "methods",
    "plans",
    "prune",
    "quantize_aware",
    "recover",
    "report",
    "scores",
    "search",
    "select_bases",
    "select_channels",
    "sensitivity",
    "sparsify",
    "surgery",
    "training",
]
