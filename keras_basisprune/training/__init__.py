from keras_basisprune.training.gate_options import GateOptions
from keras_basisprune.training.l1_thresholding import L1Thresholding
from keras_basisprune.training.on_first_process import on_first_process
from keras_basisprune.training.quantization import quantize_aware, select_weight_bits
from keras_basisprune.training.recover import recover
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.training.sparsify import Recipe, sparsify
from keras_basisprune.training.train_gates import train_gates

__all__ = [
    "GateOptions",
    "L1Thresholding",
    "Recipe",
    "Recovery",
    "on_first_process",
    "quantize_aware",
    "recover",
    "select_weight_bits",
    "sparsify",
    "train_gates",
]
