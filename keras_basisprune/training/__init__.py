from keras_basisprune.training.gate_options import GateOptions
from keras_basisprune.training.l1_thresholding import L1Thresholding
from keras_basisprune.training.train_gates import train_gates

__all__ = ["GateOptions", "L1Thresholding", "train_gates"]
