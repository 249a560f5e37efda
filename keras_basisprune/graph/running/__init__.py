"""Runs parts of a model on arrays, one call after the other."""

from keras_basisprune.graph.running._run_calls import run_calls
from keras_basisprune.graph.running.fit import fit
from keras_basisprune.graph.running.live_values import LiveValues
from keras_basisprune.graph.running.predict import predict
from keras_basisprune.graph.running.remembered_values import (
    RememberedValues,
    remembered,
)

__all__ = [
    "LiveValues",
    "RememberedValues",
    "fit",
    "predict",
    "remembered",
    "run_calls",
]
