"""Runs parts of a model on arrays, one call after the other."""

from keras_basisprune.graph.running._run_calls import run_calls
from keras_basisprune.graph.running.live_values import LiveValues
from keras_basisprune.graph.running.predict import predict

__all__ = ["LiveValues", "predict", "run_calls"]
