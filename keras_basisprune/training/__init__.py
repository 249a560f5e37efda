from keras_basisprune.training.l1_thresholding import L1Thresholding

__all__ = ["L1Thresholding"]
