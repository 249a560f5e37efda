"""Importance of channels: one score for each group of `channel_groups(model)`.

Every function returns a float64 array of shape `(len(channel_groups(model)),)`, in the
numbering of `channel_groups(model)`. A group's score is aggregated over its members
(`compensated`: over the layers that read it). Groups that can't be removed, and groups
that a criterion can't judge, score `inf`.
"""

from keras_basisprune.scores.channels.activation import activation
from keras_basisprune.scores.channels.bn_scale import bn_scale
from keras_basisprune.scores.channels.compensated import compensated
from keras_basisprune.scores.channels.fpgm import fpgm
from keras_basisprune.scores.channels.l1_norm import l1_norm
from keras_basisprune.scores.channels.l2_norm import l2_norm
from keras_basisprune.scores.channels.random import random
from keras_basisprune.scores.channels.taylor import taylor

__all__ = [
    "activation",
    "bn_scale",
    "compensated",
    "fpgm",
    "l1_norm",
    "l2_norm",
    "random",
    "taylor",
]
