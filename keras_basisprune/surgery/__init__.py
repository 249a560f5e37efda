from keras_basisprune.surgery._alive_groups import alive_groups
from keras_basisprune.surgery.fold import fold
from keras_basisprune.surgery.fresh import fresh
from keras_basisprune.surgery.prune import prune, pruned_calls

__all__ = ["alive_groups", "fold", "fresh", "prune", "pruned_calls"]
