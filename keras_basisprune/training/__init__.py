from keras_basisprune.training.l1_thresholding import L1Thresholding
from keras_basisprune.training.recover import recover
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.training.sparsify import Recipe, sparsify

__all__ = ["L1Thresholding", "Recipe", "Recovery", "recover", "sparsify"]
