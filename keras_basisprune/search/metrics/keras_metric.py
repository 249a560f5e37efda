"""A metric of Keras."""

import keras
import numpy as np

from keras_basisprune.search.metrics.measure import Measure


class KerasMetric(Measure):
    """A metric of Keras, whose state is added up over samples.

    The state of all metrics of Keras is a sum over samples (of errors, of counts per
    threshold, ...), so that it can be computed for a few samples at a time, and for
    any choice of them.

    Args:
        metric: A `keras.metrics.Metric`.
        place: Integer, the number of the output.
        output: The `Output`.
        sign: 1 if more is better, -1 if less is.
        share: Whether it is a share.
        several: Whether the model has several outputs.
    """

    exact = False

    def __init__(self, metric, place, output, sign, share, several=False):
        self._metric, self._place, self._output = metric, place, output
        self.sign, self.share = sign, share
        self.name = f"{output.name}_{metric.name}" if several else metric.name
        called = metric.name.replace("_", " ")
        self.text = f"{called} of `{output.name}`" if several else called

    def rows(self, targets, outputs, weights, block):
        truth, found = targets[self._place], outputs[self._place]
        truth = self._as_asked(np.asarray(truth), found)
        weights = weights and weights[self._place]
        rows, metric = [], self._metric
        for start in range(0, len(found), block):
            part = slice(start, start + block)
            metric.reset_state()
            chosen = None if weights is None else weights[part]
            metric.update_state(truth[part], found[part], sample_weight=chosen)
            rows.append(np.concatenate([_flat(v) for v in metric.variables]))
        return np.stack(rows)

    def value(self, sums):
        flat = np.asarray(sums).reshape(-1, np.shape(sums)[-1])
        found = np.array([self._result(row) for row in flat])
        return found.reshape(np.shape(sums)[:-1])

    def check_sums(self, targets, outputs, weights, made):
        """Raises `ValueError` if the metric's state is no sum over samples.

        Args:
            targets: As in `rows`, like the next two.
            outputs: List of arrays.
            weights: List of arrays, or `None`.
            made: What `rows` returned for them.
        """
        count = len(outputs[self._place])
        whole = self.rows(targets, outputs, weights, count)
        one, other = (float(self.value(rows.sum(0))) for rows in (made, whole))
        if not np.isclose(one, other, rtol=1e-3, atol=1e-6, equal_nan=True):
            raise ValueError(
                f"a state that is no sum over samples ({one:g} from parts of them, "
                f"{other:g} from all): pass a function of a model and the data instead"
            )

    def _result(self, row) -> float:
        start = 0
        for variable in self._metric.variables:
            size = int(np.prod(variable.shape))
            part = row[start : start + size].reshape(variable.shape)
            variable.assign(part.astype(str(variable.dtype)))
            start += size
        found = keras.ops.convert_to_numpy(self._metric.result())
        if found.size != 1:
            raise ValueError(
                f"a result of shape {found.shape}, where one number is needed (such as "
                "with average='macro')"
            )
        return float(found.reshape(()))

    def _as_asked(self, truth, found):
        """Turns integers into one-hot labels where the metric takes these."""
        kind = type(self._metric)
        if self._output.kind != "classes" or truth.ndim == np.ndim(found):
            return truth
        sparse = "Sparse" in kind.__name__ or kind.__name__.endswith("IoU")
        if sparse or not kind.__module__.startswith("keras."):
            return truth
        return np.eye(found.shape[-1], dtype="float32")[truth.astype(int)]


def _flat(variable):
    return keras.ops.convert_to_numpy(variable).astype(np.float64).reshape(-1)
