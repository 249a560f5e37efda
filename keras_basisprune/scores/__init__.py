from keras_basisprune.scores import channels
from keras_basisprune.scores.bases import bases
from keras_basisprune.scores.energy import energy
from keras_basisprune.scores.magnitude import magnitude
from keras_basisprune.scores.taylor import taylor

__all__ = ["bases", "channels", "energy", "magnitude", "taylor"]
