"""How channels pass through each kind of layer, and how it is cut."""

from keras_basisprune.graph.rules import (
    attention,
    axes,
    convolutions,
    dense,
    elementwise,
    merging,
    normalizations,
    shapes,
    spatial,
    trained_masks,
    wrappers,
)
from keras_basisprune.graph.rules._projections import (
    ATTENTION,
    argument_order,
    projection,
    projection_path,
    projections,
)
from keras_basisprune.graph.rules.flow import Channels, Flow, KeptChannels
from keras_basisprune.graph.rules.rule import Rule, channel_rule, rule_of

__all__ = [
    "ATTENTION",
    "Channels",
    "Flow",
    "KeptChannels",
    "Rule",
    "argument_order",
    "attention",
    "axes",
    "channel_rule",
    "convolutions",
    "dense",
    "elementwise",
    "merging",
    "normalizations",
    "projection",
    "projection_path",
    "projections",
    "rule_of",
    "shapes",
    "spatial",
    "trained_masks",
    "wrappers",
]
