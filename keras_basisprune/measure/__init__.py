from keras_basisprune.measure.compare import Comparison, compare
from keras_basisprune.measure.cost import Cost, cost
from keras_basisprune.measure.describe import Description, describe

__all__ = ["Comparison", "Cost", "Description", "compare", "cost", "describe"]
