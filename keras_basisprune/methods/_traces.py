"""Traces of the networks that methods work on, made once for each."""

import weakref

import keras

from keras_basisprune.graph.trace import Trace, trace

_KNOWN: weakref.WeakKeyDictionary[keras.Model, Trace] = weakref.WeakKeyDictionary()


def remembered_trace(model) -> Trace:
    """The `Trace` of a model, read the first time and kept as long as the model lives.

    Args:
        model: A built Functional or Sequential `keras.Model`, whose layers stay as they
            are. Their weights may change.

    Returns:
        A `Trace`.
    """
    found = _KNOWN.get(model)
    if found is None:
        found = _KNOWN[model] = trace(model)
    return found
