"""The metrics that --metric names."""

import inspect

import keras

from keras_basisprune.cli._import_modules import import_module
from keras_basisprune.search.metrics.is_metric_name import is_metric_name


def named_metrics(flags) -> list:
    """Returns the metrics that `--metric` names, as `compress` takes them.

    Args:
        flags: The parsed `absl.flags.FlagValues`.

    Returns:
        A list of names, functions and `keras.metrics.Metric`s.

    Raises:
        ValueError: If there is no such metric, or its module can't be imported.
    """
    return [_metric(text.strip()) for text in flags.metric]


def _metric(text):
    module, colon, name = text.rpartition(":")
    if not colon:
        if is_metric_name(text):
            return text
        raise ValueError(
            "Expected --metric to be auto, the name of a metric of Keras, such as f1, "
            "auc or mean_squared_error, or MODULE:NAME. Received: "
            f"--metric={text}. For one of your own pass --metric=MODULE:{text}, with "
            "the module (or .py file) that defines it."
        )
    found = getattr(import_module(module, "--metric"), name, None)
    if inspect.isclass(found) and issubclass(found, keras.metrics.Metric):
        return _made(found, text)
    if isinstance(found, keras.metrics.Metric):
        return found
    if not callable(found) or inspect.isclass(found):
        what = "is not in it"
        if found is not None:
            what = f"is of the type {type(found).__name__}"
        raise ValueError(
            f"Expected --metric={text} to name a function of a model and the data, or "
            f"a metric, in {module}. Received: {name!r}, which {what}."
        )
    return found


def _made(kind, text):
    try:
        return kind()
    except Exception as error:  # of the user's own
        raise ValueError(
            f"Expected --metric={text} to be a metric that needs no arguments. "
            f"Received: {type(error).__name__}: {error}. Name one that is made, such "
            f"as `best = {kind.__name__}(...)` in the module."
        ) from error
