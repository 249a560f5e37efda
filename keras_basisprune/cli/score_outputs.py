"""Scores of a network for images with class labels."""

import dataclasses
import math

import keras
import numpy as np

from keras_basisprune.graph.output_kinds import Output
from keras_basisprune.search.metrics.bootstrap_error import bootstrap_error
from keras_basisprune.search.metrics.chosen_metrics import chosen_metrics
from keras_basisprune.search.metrics.custom_metric import CustomMetric
from keras_basisprune.search.metrics.direction import is_known
from keras_basisprune.search.metrics.keras_metric import KerasMetric

_ROWS = 100  # groups of samples, where a score takes long to compute


@dataclasses.dataclass(frozen=True)
class Score:
    """A score.

    Attributes:
        name: What it is, in words.
        value: Float.
        error: Float, its standard error; NaN if that is not known.
    """

    name: str
    value: float
    error: float


def score_outputs(metrics, outputs, model, data) -> list[Score]:
    """Scores a network.

    Args:
        metrics: List of what `named_metrics` returns.
        outputs: Array of shape `(samples, classes)`, or `(samples, 1)` for two classes:
            the outputs for the images. `None` if all metrics are functions.
        model: What functions are called with.
        data: Pair of the images and their labels, integers.

    Returns:
        A list of `Score`s.

    Raises:
        ValueError: If a metric fails, or gives no number.
    """
    kind = None if outputs is None else _kind(outputs)
    labels = data[1] if kind is None or kind.kind == "classes" else data[1][:, None]
    return [_score(metric, kind, outputs, labels, model, data) for metric in metrics]


def _kind(outputs) -> Output:
    """Returns what outputs are: probabilities, or else logits."""
    classes = outputs.shape[-1]
    if classes == 1:
        inside = 0 <= outputs.min() and outputs.max() <= 1
        return Output("output", "binary", not inside, (1,))
    shares = outputs.min() >= 0 and np.allclose(outputs.sum(-1), 1, atol=2e-2)
    return Output("output", "classes", not shares, (classes,))


def _score(metric, kind, outputs, labels, model, data) -> Score:
    try:
        known = isinstance(metric, str) or is_known(metric)
        mode = "auto" if known else "max"  # the direction plays no part
        (one,) = chosen_metrics(metric, mode, [kind], [True], False, [0.0])
        if isinstance(one, CustomMetric):
            found = keras.ops.convert_to_numpy(one.function(model, data))
            return _of_numbers(one.name, np.asarray(found, np.float64))
        count = len(outputs)
        block = max(1, count // _ROWS) if isinstance(one, KerasMetric) else 1
        rows = one.rows([labels], [outputs], None, block)
        value = float(one.value(rows.sum(0)))
        error = math.sqrt(value * (1 - value) / count) if one.exact else None
        error = bootstrap_error(one, rows) if error is None else error
        name = one.text.removesuffix(" of `output`")
    except Exception as error:  # of any kind: it may be the user's own function
        raise _failed(metric, f"{type(error).__name__}: {error}") from error
    return _checked(Score(name, value, error))


def _of_numbers(name, found) -> Score:
    """Returns the mean of numbers, one for each sample."""
    several = found.ndim > 0 and found.size > 1
    error = found.std(ddof=1) / math.sqrt(found.size) if several else math.nan
    return _checked(Score(name.replace("_", " "), float(found.mean()), float(error)))


def _checked(score) -> Score:
    if not math.isfinite(score.value):
        raise _failed(score.name, f"{score.value}")
    return score


def _failed(metric, what) -> ValueError:
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", None)
    return ValueError(
        f"Expected --metric={name or metric.name} to give a number. Received: "
        f"{what[:300]}. Check it in Python, with the model and a pair (images, labels)."
    )
