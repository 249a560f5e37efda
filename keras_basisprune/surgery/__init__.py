from keras_basisprune.surgery._alive_groups import alive_groups
from keras_basisprune.surgery.compensate import compensate
from keras_basisprune.surgery.fold import fold
from keras_basisprune.surgery.fresh import fresh
from keras_basisprune.surgery.prune import prune, pruned_calls
from keras_basisprune.surgery.recalibrate import recalibrate

__all__ = [
    "alive_groups",
    "compensate",
    "fold",
    "fresh",
    "prune",
    "pruned_calls",
    "recalibrate",
]
