"""How channels pass through each kind of layer, and how it is cut."""

from keras_basisprune.graph.channels import (
    convolutions,
    dense,
    elementwise,
    merging,
    normalizations,
    shapes,
)
from keras_basisprune.graph.channels._base import (
    Channels,
    Flow,
    KeptChannels,
    Rule,
    channel_rule,
    rule_of,
)
from keras_basisprune.graph.channels.channel_map import ChannelMap, channel_map

__all__ = [
    "ChannelMap",
    "Channels",
    "Flow",
    "KeptChannels",
    "Rule",
    "channel_map",
    "channel_rule",
    "convolutions",
    "dense",
    "elementwise",
    "merging",
    "normalizations",
    "rule_of",
    "shapes",
]
