from keras_basisprune.graph.basis_pairs import BasisPair, basis_pairs
from keras_basisprune.graph.channel_groups import ChannelGroups, channel_groups
from keras_basisprune.graph.decomposable import decomposable
from keras_basisprune.graph.rewrite import NewLayer, flatten, rewrite
from keras_basisprune.graph.rules import (
    Channels,
    ConvolutionRule,
    DenseRule,
    Rule,
    channel_rule,
)

__all__ = [
    "BasisPair",
    "ChannelGroups",
    "Channels",
    "ConvolutionRule",
    "DenseRule",
    "NewLayer",
    "Rule",
    "basis_pairs",
    "channel_groups",
    "channel_rule",
    "decomposable",
    "flatten",
    "rewrite",
]
