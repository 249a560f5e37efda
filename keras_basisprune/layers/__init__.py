from keras_basisprune.layers.basis_scaling_conv import BasisScalingConv

__all__ = ["BasisScalingConv"]
