"""Parts of a model on arrays, one call after the other."""

from keras_basisprune.graph.running._run_calls import run_calls
from keras_basisprune.graph.running.live_values import LiveValues

__all__ = ["LiveValues", "run_calls"]
