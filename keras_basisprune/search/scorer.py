"""Scores networks, on data with labels or without."""

import math

import keras
import numpy as np

from keras_basisprune.graph.output_targets import output_targets
from keras_basisprune.graph.run_examples import outputs_of, run_examples
from keras_basisprune.report.loss_bound import CONFIDENCE, loss_bound
from keras_basisprune.search.metrics.answers import answers_of
from keras_basisprune.search.metrics.custom_metric import CustomMetric
from keras_basisprune.search.metrics.failing_on_original import failing_on_original
from keras_basisprune.search.metrics.keras_metric import KerasMetric
from keras_basisprune.search.metrics.paired_bootstrap import paired_bootstrap
from keras_basisprune.search.recall_rows import recall_rows

_ROWS = 1000  # of sums that are kept, about, where answers are not just right or wrong
_KEPT = 2**28  # bytes of the original's outputs that are kept, not computed again


class Scorer:
    """Scores networks by a metric, on labelled data or against the original.

    Args:
        model: The original `keras.Model`.
        data: `ArrayExamples` or `StreamExamples`.
        metrics: A list of `Measure`s and `CustomMetric`s, of which the first decides.
        outputs: The `Output`s of the model.
        argument: The name of the data, for messages.
        seed: Integer, for the bootstrap.
        constants: List of arrays, one answer for all samples for each output; `None`
            for none.

    Attributes:
        metric: The name of the first metric.
        measure: The first metric.
        sign: 1 if more of it is better, -1 if less is.
        baseline: Float, the original's score.
        images: Integer, how many samples there are.
        resolution: Float, how much of the score one answer is, where answers are right
            or wrong; else 0.
        constant: Float, the score of `constants`; NaN if that is not known.
    """

    def __init__(
        self,
        model,
        data,
        metrics,
        outputs,
        argument="validation",
        seed=0,
        constants=None,
    ):
        self._data, self._outputs, self._argument = data, outputs, argument
        self.measure, *self._others = metrics
        self.metric, self.sign = self.measure.name, self.measure.sign
        self.images, self._seed = len(data), seed
        self.resolution = 1 / max(1, self.images) if self.measure.exact else 0.0
        self._original, self._known = model, {}
        self._labels: list[np.ndarray] = []
        self._baselines: dict[str, float] = {}
        found = self._answers(model, metrics, first=True)
        self._before = found[0]
        self.constant = self._of_constant(constants)
        for one, rows in zip(metrics, found, strict=True):
            self._baselines[one.name] = self._value(one, rows)
            self._check(one, self._baselines[one.name])
        self.baseline = self._baselines[self.metric]

    def __call__(self, model) -> float:
        """Returns the score of a network."""
        return self.compared(self.answers(model))["score"]

    def answers(self, model) -> np.ndarray:
        """Runs a network on the samples.

        Args:
            model: A `keras.Model` with the outputs of the original.

        Returns:
            What the metric adds up, see `Measure.rows`: for answers that are right or
            wrong, an array of shape `(samples, 2)` of ones for right answers, and ones.
        """
        return self._answers(model, [self.measure])[0]

    def others(self, model) -> dict[str, tuple[float, float]]:
        """Returns the other metrics of the original and of a network, by name."""
        found = self._answers(model, self._others) if self._others else []
        pairs = zip(self._others, found, strict=True)
        return {
            one.name: (self._baselines[one.name], self._value(one, rows))
            for one, rows in pairs
        }

    def compared(self, answers) -> dict[str, float]:
        """Returns the score of a network, with a confidence bound on its loss.

        Args:
            answers: What `answers` returned for the network.

        Returns:
            A dict of `"score"`; `"bound"`: with 95 % confidence, no more than that is
            lost against `baseline` on other samples of the same kind, both networks
            being judged on the same ones; and `"error"`, the standard error of the
            loss. Where answers are right or wrong, the bound is exact: it holds for few
            samples, too, and where no answer is lost. Else both come from the paired
            bootstrap, and are NaN for a metric that gives one number for all samples.
        """
        measure = self.measure
        score = self._value(measure, answers)
        if measure.exact:
            before, after = self._before[:, 0] > 0, answers[:, 0] > 0
            lost = int(np.sum(before & ~after))
            gained = int(np.sum(after & ~before))
            loss, changed = (lost - gained) / self.images, (lost + gained) / self.images
            error = float(np.sqrt((changed - loss**2) / self.images))
            bound = loss_bound(lost, gained, self.images)
            return {"score": score, "error": error, "bound": bound}
        if answers.ndim < 1 or answers.shape != self._before.shape:
            return {"score": score, "error": math.nan, "bound": math.nan}
        before, after, by = self._before, answers, measure
        if isinstance(measure, CustomMetric):
            before, after = (
                np.stack([x, np.ones(len(x))], -1) for x in (before, after)
            )
            by = _Mean(measure.sign)
        quick = not isinstance(measure, KerasMetric)
        error, bound = paired_bootstrap(
            by, before, after, CONFIDENCE, self._seed, quick
        )
        return {"score": score, "error": error, "bound": bound}

    def recall(self, answers) -> list[dict]:
        """Returns the recall of each class, for a network and for the original.

        Without labels, the classes are those that the original predicts.

        Args:
            answers: What `answers` returned for the network.

        Returns:
            A list of dicts, see `recall_rows`; empty where answers are not just right
            or wrong.
        """
        if not self.measure.exact:
            return []
        labels = np.concatenate(self._labels).reshape(-1).astype(int)
        return recall_rows(labels, self._before[:, 0] > 0, answers[:, 0] > 0)

    def labels_seen(self) -> np.ndarray | None:
        """Returns the labels of right or wrong answers; `None` without labels."""
        if not self.measure.exact or not self._data.labelled:
            return None
        return np.concatenate(self._labels).reshape(-1).astype(int)

    def _answers(self, model, metrics, first=False) -> list:
        """Returns for each metric what it adds up."""
        summed = [one for one in metrics if not isinstance(one, CustomMetric)]
        rows: dict[int, list] = {id(one): [] for one in summed}
        runs = run_examples(model, self._data) if summed else ()
        for number, (batch, found) in enumerate(runs):
            targets = self._targets(number, batch, found if first else None)
            if first and self.measure.exact:
                self._labels.append(np.asarray(targets[0]))
            for one in summed:
                block = 1 if one.exact else max(1, self.images // _limit(one))
                with failing_on_original(one, first):
                    made = one.rows(targets, found, batch.weights, block)
                    if first and not number and isinstance(one, KerasMetric):
                        one.check_sums(targets, found, batch.weights, made)
                rows[id(one)].append(made)
        return [
            self._of_custom(one, model, first)
            if isinstance(one, CustomMetric)
            else np.concatenate(rows[id(one)])
            for one in metrics
        ]

    def _targets(self, number, batch, found) -> list:
        """Returns the labels of a batch; without any, what the original answers."""
        if self._data.labelled:
            count, alone = len(batch), len(self._outputs) == 1
            return [
                None
                if labels is None
                else output_targets(self._argument, output, labels, count, alone=alone)
                for output, labels in zip(self._outputs, batch.targets, strict=True)
            ]
        if number in self._known:
            return self._known[number]
        if found is None:
            found = outputs_of(self._original, batch.inputs)
        pairs = zip(self._outputs, found, strict=True)
        targets = [answers_of(output, values) for output, values in pairs]
        spent = sum(a.nbytes for known in self._known.values() for a in known)
        if spent + sum(a.nbytes for a in targets) <= _KEPT:
            self._known[number] = targets
        return targets

    def _of_constant(self, constants) -> float:
        """Returns the score of one answer for all; NaN where it says nothing."""
        plain = not isinstance(self.measure, CustomMetric | KerasMetric)
        if constants is None or not plain or not self._data.labelled:
            return math.nan
        rows = []
        for number, batch in enumerate(self._data.batches(64)):
            found = [np.broadcast_to(x, (len(batch), *x.shape)) for x in constants]
            targets = self._targets(number, batch, None)
            weights, block = batch.weights, len(batch)
            rows.append(self.measure.rows(targets, found, weights, block).sum(0))
        return self._value(self.measure, np.stack(rows))

    def _of_custom(self, metric, model, first):
        with failing_on_original(metric, first):
            found = metric.function(model, self._data.given)
            return np.asarray(keras.ops.convert_to_numpy(found), np.float64)

    def _value(self, metric, rows) -> float:
        if isinstance(metric, CustomMetric):
            return float(np.mean(rows))
        with failing_on_original(metric, True):
            return float(metric.value(rows.sum(0)))

    def _check(self, metric, value):
        if not math.isfinite(value):
            raise ValueError(
                f"Expected `metric` to give a number for the original. Received: "
                f"{value} from {metric.text}. Check it on "
                f"`{self._argument}`, with the model that is passed."
            )


class _Mean:
    """The mean of numbers, for the bootstrap."""

    def __init__(self, sign):
        self.sign = sign

    def value(self, sums):
        return sums[..., 0] / sums[..., 1]


def _limit(metric) -> int:
    return 100 if isinstance(metric, KerasMetric) else _ROWS
