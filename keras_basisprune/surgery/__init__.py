from keras_basisprune.surgery.fold import fold
from keras_basisprune.surgery.prune import prune

__all__ = ["fold", "prune"]
