"""Published methods: `METHODS` lists them, each a `Method` with its source."""

from keras_basisprune.methods.channel_gates import channel_gates
from keras_basisprune.methods.convert import convert
from keras_basisprune.methods.method import Method
from keras_basisprune.methods.slimming import slimming
from keras_basisprune.methods.table import METHODS

__all__ = ["METHODS", "Method", "channel_gates", "convert", "slimming"]
