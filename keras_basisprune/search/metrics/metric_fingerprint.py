"""Describes metrics by values that JSON can represent."""

import keras

from keras_basisprune.search.fingerprint import fingerprint


def metric_fingerprint(metric):
    """Describes what `compress` takes as a metric, the same in every process.

    Args:
        metric: A name, `keras.metrics.Metric`, function, or a list or dict of these.

    Returns:
        A value that JSON can represent.
    """
    if isinstance(metric, list | tuple):
        return [metric_fingerprint(one) for one in metric]
    if isinstance(metric, dict):
        return {str(key): metric_fingerprint(one) for key, one in metric.items()}
    if isinstance(metric, keras.metrics.Metric):
        try:
            config = metric.get_config()
        except Exception:  # of one's own, without a config
            config = {}
        config = {key: value for key, value in config.items() if key != "name"}
        kind = type(metric)
        return f"{kind.__module__}.{kind.__qualname__} {sorted(config.items())}"
    return fingerprint(metric)
