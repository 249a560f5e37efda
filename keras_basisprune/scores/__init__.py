from keras_basisprune.scores import channels
from keras_basisprune.scores.bases import bases
from keras_basisprune.scores.energy import energy
from keras_basisprune.scores.magnitude import magnitude
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.summarize_outputs import summarize_outputs
from keras_basisprune.scores.taylor import taylor

__all__ = [
    "OutputStatistics",
    "bases",
    "channels",
    "energy",
    "magnitude",
    "summarize_outputs",
    "taylor",
]
