"""Samples and labels of a task, for any model."""

import keras
import numpy as np

from keras_basisprune.data.check_data import check_data
from keras_basisprune.data.rows import Rows
from keras_basisprune.methods.diff_pruning._task_arrays import task_arrays
from keras_basisprune.utils.check_numeric import check_numeric


def check_task_data(argument, model, data, labels):
    """Raises `ValueError` unless samples and targets fit a model.

    Args:
        argument: Name of the argument, for the message.
        model: A `keras.Model`.
        data: As in `task_arrays`.
        labels: Whether `y` must be integer labels.

    Returns:
        The pair; `x` an array or `Rows`, `y` an array.
    """
    data = task_arrays(argument, model, data)
    one = len(getattr(model, "inputs", None) or ()) == 1
    outputs = getattr(model, "outputs", None) or ()
    if one and labels and len(outputs) == 1 and not isinstance(data[0], dict):
        return check_data(argument, model, data)
    x = keras.tree.map_structure(lambda a: check_numeric(argument, a), data[0])
    y = check_numeric(argument, data[1], "integer labels" if labels else "targets")
    sizes = {len(a) if a.ndim else 0 for a in (*keras.tree.flatten(x), y)}
    wrong = labels and (y.ndim != 1 or y.dtype.kind not in "iu" or y.min(initial=0) < 0)
    if len(sizes) != 1 or 0 in sizes or wrong:
        kind = "integer label" if labels else "target"
        raise ValueError(
            f"Expected `{argument}` to hold one {kind} for each sample, of at least "
            f"one. Received: arrays of {sorted(sizes)} samples, and y of shape "
            f"{y.shape}, dtype {y.dtype}. Pass a pair (x, y) of equal lengths."
        )
    for array in keras.tree.flatten(x):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"Expected `{argument}` to hold finite numbers. Received: NaN or "
                "infinity in x. Leave these samples out, or use `numpy.nan_to_num`."
            )
    return (x if isinstance(x, np.ndarray) else Rows(x)), y


def whole(x):
    """What `predict` and `fit` take of what `check_task_data` returned."""
    return x.structure if isinstance(x, Rows) else x
