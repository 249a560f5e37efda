"""The names of metrics."""

import keras

AUTO = ("auto", "agreement")
ACCURACY = ("accuracy", "acc")
# What is short for names of Keras, or computed without Keras.
SHORT = {"f1": "f1_score", "iou": "mean_iou", "miou": "mean_iou"}
_OWN = {*AUTO, *ACCURACY, *SHORT, *SHORT.values(), "F1Score"}


def is_metric_name(name) -> bool:
    """Returns whether `compress` knows a metric by this name."""
    if name in _OWN:
        return True
    try:
        found = keras.metrics.get(name)
    except (TypeError, ValueError):
        return False
    return isinstance(found, keras.metrics.Metric) or callable(found)
