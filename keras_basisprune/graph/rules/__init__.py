"""What the package knows of each layer class: one file per family."""

from keras_basisprune.graph.rules import (
    attention,
    axes,
    convolutions,
    dense,
    depthwise,
    elementwise,
    merging,
    normalizations,
    opaque,
    shapes,
    spatial,
    trained_masks,
    wrappers,
)
from keras_basisprune.graph.rules._depthwise_half import depthwise_name
from keras_basisprune.graph.rules._kernels import pointwise_layer, without_lora
from keras_basisprune.graph.rules._projections import (
    ATTENTION,
    argument_order,
    projection,
    projection_path,
    projections,
)
from keras_basisprune.graph.rules._reads import Read
from keras_basisprune.graph.rules._shapes import Shapes
from keras_basisprune.graph.rules.convolutions import ConvolutionRule
from keras_basisprune.graph.rules.dense import DenseRule
from keras_basisprune.graph.rules.flow import Channels, Flow, KeptChannels
from keras_basisprune.graph.rules.registry import (
    channel_rule,
    known,
    rule_of,
    rules_of,
)
from keras_basisprune.graph.rules.rule import Rule, defines
from keras_basisprune.graph.rules.wrappers import unwrapped

__all__ = [
    "ATTENTION",
    "Channels",
    "ConvolutionRule",
    "DenseRule",
    "Flow",
    "KeptChannels",
    "Read",
    "Rule",
    "Shapes",
    "argument_order",
    "attention",
    "axes",
    "channel_rule",
    "convolutions",
    "defines",
    "depthwise_name",
    "dense",
    "depthwise",
    "elementwise",
    "known",
    "merging",
    "normalizations",
    "opaque",
    "pointwise_layer",
    "projection",
    "projection_path",
    "projections",
    "rule_of",
    "rules_of",
    "shapes",
    "spatial",
    "trained_masks",
    "unwrapped",
    "without_lora",
    "wrappers",
]
