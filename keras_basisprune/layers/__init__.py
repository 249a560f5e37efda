from keras_basisprune.layers.basis_scaling_conv import BasisScalingConv
from keras_basisprune.layers.channel_gate import ChannelGate
from keras_basisprune.layers.channel_scaling import ChannelScaling
from keras_basisprune.layers.fake_quantize import FakeQuantize
from keras_basisprune.layers.fixed_fake_quantize import FixedFakeQuantize
from keras_basisprune.layers.joined_masks import JoinedMasks
from keras_basisprune.layers.quantized_activation import QuantizedActivation
from keras_basisprune.layers.quantized_weights import QuantizedWeights
from keras_basisprune.layers.slimming_regularizer import SlimmingRegularizer
from keras_basisprune.layers.stays_float import StaysFloat
from keras_basisprune.layers.trained_mask import TrainedMask

__all__ = [
    "BasisScalingConv",
    "ChannelGate",
    "ChannelScaling",
    "FakeQuantize",
    "FixedFakeQuantize",
    "JoinedMasks",
    "QuantizedActivation",
    "QuantizedWeights",
    "SlimmingRegularizer",
    "StaysFloat",
    "TrainedMask",
]
