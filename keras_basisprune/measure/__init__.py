from keras_basisprune.measure.accuracy import accuracy
from keras_basisprune.measure.compare import Comparison, compare
from keras_basisprune.measure.cost import Cost, cost
from keras_basisprune.measure.describe import Description, describe
from keras_basisprune.measure.latency import Latency, latency
from keras_basisprune.measure.latency_table import LatencyTable
from keras_basisprune.measure.plot_bases import plot_bases
from keras_basisprune.measure.plot_channels import plot_channels
from keras_basisprune.measure.plot_comparison import plot_comparison
from keras_basisprune.measure.predicted_latency import predicted_latency

__all__ = [
    "Comparison",
    "Cost",
    "Description",
    "Latency",
    "LatencyTable",
    "accuracy",
    "compare",
    "cost",
    "describe",
    "latency",
    "plot_bases",
    "plot_channels",
    "plot_comparison",
    "predicted_latency",
]
