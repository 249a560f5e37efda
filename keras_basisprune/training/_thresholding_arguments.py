"""Checks of the arguments of `L1Thresholding`."""

import keras

from keras_basisprune.data.ends import check_ends
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.shown import shown


def check_thresholding(score, scope, cost, frequency, unit, start):
    """Raises `ValueError` if an argument on masking is out of its range."""
    if not callable(score) or isinstance(score, type | keras.Model):
        remedy = "Or pass a function of the model. Start with 'magnitude'."
        check_choice("score", score, ("magnitude", "energy", "taylor"), remedy)
    remedy = "'local' judges each layer by itself."
    check_choice("scope", scope, ("local", "global"), remedy)
    remedy = "It is used with scope='global' only."
    check_choice("cost", cost, (None, "flops", "params"), remedy)
    check_choice("unit", unit, ("epoch", "step"))
    remedy = "unit='epoch', frequency=1 masks at the beginning of each epoch."
    check_whole("frequency", frequency, remedy=remedy)
    check_whole("start", start, 0, remedy=remedy)


def check_watched(monitor, data):
    """Raises `ValueError` if `monitor` or `data` is of another type."""
    check_ends("data", data)
    if not (data is None or (isinstance(data, tuple) and 2 <= len(data) <= 3)):
        raise ValueError(
            "Expected `data` to be a pair (x, y) of arrays or None. "
            f"Received: data={shown(data)}. Leave it out to use the gradients of "
            "training."
        )
    if not (monitor is None or (isinstance(monitor, str) and monitor)):
        raise ValueError(
            "Expected `monitor` to be the name of a metric or None. "
            f"Received: monitor={shown(monitor)}. Pass 'val_accuracy', for example."
        )
