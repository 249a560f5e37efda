"""The scores that a call of `compress` asks for."""

import keras

from keras_basisprune.search.metrics.custom_metric import CustomMetric
from keras_basisprune.search.metrics.default_measure import (
    accuracy_measure,
    default_measure,
)
from keras_basisprune.search.metrics.direction import is_known, is_share, own_direction
from keras_basisprune.search.metrics.is_metric_name import ACCURACY, AUTO, SHORT
from keras_basisprune.search.metrics.keras_metric import KerasMetric
from keras_basisprune.search.metrics.mean_of_outputs import MeanOfOutputs
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.shown import shown

_SIGNS = {"max": 1, "min": -1}


def chosen_metrics(metric, mode, outputs, labelled, weighted, constants) -> list:
    """Returns the scores that a call asks for; the first one decides.

    Args:
        metric: `"auto"`, the name of a metric of Keras, a `keras.metrics.Metric`, a
            function of a model and the data; or a list of these. For several outputs
            also a dict by name, of which the mean is taken.
        mode: `"max"`, `"min"` or `"auto"`, of the first.
        outputs: Sequence of `Output`s.
        labelled: Sequence of booleans: which outputs have labels.
        weighted: Whether samples have weights.
        constants: List of arrays: the mean answer of each output.

    Returns:
        A list of `Measure`s and `CustomMetric`s.

    Raises:
        ValueError: If a metric is none, has no known direction, or another one than
            `mode` says.
    """
    check_choice("mode", mode, ("auto", "max", "min"), "Leave it out for 'auto'.")
    asked = list(metric) if isinstance(metric, list | tuple) else [metric]
    if not asked:
        raise _refusal(metric)
    chosen = _Chosen(outputs, labelled, weighted, constants)
    found = [chosen.of(one, mode if not i else "auto") for i, one in enumerate(asked)]
    if mode != "auto" and found[0].sign != _SIGNS[mode]:
        own = "max" if found[0].sign > 0 else "min"
        raise ValueError(
            f"Expected `mode` to be {own!r} for {found[0].text}, of which "
            f"{'more' if own == 'max' else 'less'} is better. Received: mode={mode!r}. "
            "Leave it out."
        )
    return found


class _Chosen:
    def __init__(self, outputs, labelled, weighted, constants):
        self._outputs, self._labelled = outputs, labelled
        self._weighted, self._constants = weighted, constants
        self._several = len(outputs) > 1

    def of(self, metric, mode):
        if isinstance(metric, str) and metric in AUTO:
            labelled = self._labelled
            if metric == "agreement":
                labelled = [False] * len(labelled)
            return self._default(labelled)
        if isinstance(metric, dict):
            return self._by_name(metric, mode)
        places = [i for i, has in enumerate(self._labelled) if has]
        if _is_custom(metric):
            return CustomMetric(metric, self._sign(metric, _name(metric), mode, 1))
        if not places:
            raise ValueError(
                "Expected `validation` to hold labels for "
                f"metric={shown(metric)}. Received: none. Pass a pair (x, y), or leave "
                "`metric` out to judge by agreement with the original."
            )
        found = [self._at(metric, place, mode) for place in places]
        if len(found) == 1:
            return found[0]
        return MeanOfOutputs(found[0].text.split(" of `")[0].replace(" ", "_"), found)

    def _default(self, labelled):
        return default_measure(self._outputs, labelled, self._weighted, self._constants)

    def _by_name(self, metrics, mode):
        names = [output.name for output in self._outputs]
        unknown = set(metrics) - set(names)
        missing = [n for n in metrics if n in names]
        unlabelled = [n for n in missing if not self._labelled[names.index(n)]]
        if unknown or unlabelled or not metrics:
            raise ValueError(
                f"Expected `metric` to name outputs that have labels, of {names}. "
                f"Received: {sorted(map(str, metrics))}. Pass metrics by these names."
            )
        found = [self._at(metrics[n], names.index(n), mode) for n in metrics]
        if len({one.sign for one in found}) > 1:
            raise ValueError(
                "Expected `metric` to hold metrics of which more is better for all "
                f"outputs, or less for all. Received: {shown(metrics)}. Pass a "
                "function, or a list of which the first decides."
            )
        return found[0] if len(found) == 1 else MeanOfOutputs("mean_of_outputs", found)

    def _at(self, metric, place, mode):
        """Returns the score of one output."""
        output = self._outputs[place]
        right = output.kind in ("classes", "binary")
        name = SHORT.get(metric, metric) if isinstance(metric, str) else _own(metric)
        if name in ACCURACY or (name in _plain(output) and right):
            if not right:
                raise _misfit(metric, output)
            named = None if name in ACCURACY else name
            return accuracy_measure(output, place, self._several, self._weighted, named)
        if name == "mean_iou":
            if not output.is_map or not right:
                raise _misfit(metric, output)
            return default_measure(
                self._outputs,
                [i == place for i in range(len(self._outputs))],
                self._weighted,
                self._constants,
            )
        if isinstance(metric, str):
            metric = _by_keras(name, metric, output)
        elif self._several and len([x for x in self._labelled if x]) > 1:
            metric = type(metric).from_config(metric.get_config())
        if not isinstance(metric, keras.metrics.Metric):
            raise _refusal(metric)
        sign = self._sign(metric, metric.name, mode, None)
        share = is_share(metric)
        return KerasMetric(metric, place, output, sign, share, self._several)

    def _sign(self, metric, name, mode, missing) -> int:
        own, known = own_direction(metric, name), is_known(metric)
        if mode != "auto" and not known:
            return _SIGNS[mode]
        own = missing if own is None else own
        if own is None:
            raise ValueError(
                "Expected `mode` to be 'max' or 'min' for a metric of your own. "
                f"Received: mode='auto', metric={shown(metric)}. Say whether more or "
                "less of it is better."
            )
        return own


def all_custom(metric) -> bool:
    """Returns whether all metrics are functions of one's own."""
    asked = metric if isinstance(metric, list | tuple) else [metric]
    return bool(asked) and all(map(_is_custom, asked))


def _is_custom(metric) -> bool:
    if isinstance(metric, str | keras.metrics.Metric | type):
        return False
    return callable(metric)


def _name(metric) -> str:
    return getattr(metric, "__name__", type(metric).__name__)


def _own(metric) -> str:
    """Returns the name of a metric of Keras that is computed without Keras."""
    known = {
        keras.metrics.SparseCategoricalAccuracy: "sparse_categorical_accuracy",
        keras.metrics.CategoricalAccuracy: "categorical_accuracy",
        keras.metrics.Accuracy: "accuracy",
    }
    plain = type(metric) is keras.metrics.BinaryAccuracy
    if plain and metric.threshold == 0.5:
        return "binary_accuracy"
    return known.get(type(metric), "")


def _plain(output) -> tuple[str, ...]:
    if output.kind == "classes":
        return "sparse_categorical_accuracy", "categorical_accuracy"
    return ("binary_accuracy",) if not output.logits else ()


def _by_keras(name, given, output):
    if name in ("f1_score", "F1Score"):
        threshold = output.threshold if output.kind == "binary" else None
        if threshold == 0.0:
            threshold = 1e-7  # of logits; Keras takes none but positive ones
        return keras.metrics.F1Score(average="macro", threshold=threshold)
    if name in ("auc", "AUC") and output.kind in ("binary", "classes"):
        return keras.metrics.AUC(from_logits=bool(output.logits), name="auc")
    try:
        found = keras.metrics.get(name)
    except (TypeError, ValueError) as error:
        raise _refusal(given) from error
    if not isinstance(found, keras.metrics.Metric) and callable(found):
        found = keras.metrics.MeanMetricWrapper(found, name=name)
    return found


def _misfit(metric, output):
    return ValueError(
        f"Expected `metric` to fit the output `{output.name}` of shape "
        f"{output.shape}, which holds {output.kind}. Received: metric={shown(metric)}. "
        "Leave it out for one that fits."
    )


def _refusal(metric):
    return ValueError(
        "Expected `metric` to be 'auto', the name of a metric of Keras, a "
        "`keras.metrics.Metric`, a function of a model and the data, or a list of "
        f"these. Received: metric={shown(metric)}. Leave it out for 'auto'."
    )
