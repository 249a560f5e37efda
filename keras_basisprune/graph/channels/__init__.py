"""How channels pass through each kind of layer, and how it is cut."""

from keras_basisprune.graph.channels import (
    attention,
    axes,
    convolutions,
    dense,
    elementwise,
    merging,
    normalizations,
    shapes,
    spatial,
    wrappers,
)
from keras_basisprune.graph.channels._base import Rule, channel_rule, rule_of
from keras_basisprune.graph.channels._flow import Channels, Flow, KeptChannels
from keras_basisprune.graph.channels.channel_map import ChannelMap, channel_map

__all__ = [
    "ChannelMap",
    "Channels",
    "Flow",
    "KeptChannels",
    "Rule",
    "attention",
    "axes",
    "channel_map",
    "channel_rule",
    "convolutions",
    "dense",
    "elementwise",
    "merging",
    "normalizations",
    "rule_of",
    "shapes",
    "spatial",
    "wrappers",
]
