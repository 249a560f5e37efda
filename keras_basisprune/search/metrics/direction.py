"""Whether more or less of a metric is better."""

import keras

# Words in the names of metrics of which less is better.
_LESS = (
    "error",
    "loss",
    "entropy",
    "divergence",
    "hinge",
    "poisson",
    "false",
    "distance",
    "mae",
    "mse",
    "rmse",
    "mape",
    "logcosh",
)
_SHARES = (
    "Accuracy",
    "AUC",
    "Precision",
    "Recall",
    "IoU",
    "F1Score",
    "FBetaScore",
    "Specificity",
    "Sensitivity",
)


def own_direction(metric, name) -> int | None:
    """Returns 1 if more of a metric is better, -1 if less is, `None` if unknown.

    Args:
        metric: A `keras.metrics.Metric` or a function.
        name: Its name.
    """
    words = name
    if isinstance(metric, keras.metrics.Metric):
        words = f"{type(metric).__name__} {name}"
    words = words.replace("_", "").lower()
    if any(word in words for word in _LESS):
        return -1
    return 1 if is_known(metric) else None


def is_known(metric) -> bool:
    """Returns whether a metric is one of Keras, whose direction is known."""
    kind = type(metric)
    plain = keras.metrics.Mean, keras.metrics.Sum, keras.metrics.MeanMetricWrapper
    return kind.__module__.startswith("keras.") and kind not in plain


def is_share(metric) -> bool:
    """Returns whether a metric of Keras is a share, in [0, 1]."""
    name = type(metric).__name__
    return any(word in name for word in _SHARES)
