from keras_basisprune.scores import channels
from keras_basisprune.scores.energy import energy
from keras_basisprune.scores.magnitude import magnitude
from keras_basisprune.scores.taylor import taylor

__all__ = ["channels", "energy", "magnitude", "taylor"]
