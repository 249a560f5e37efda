"""Data that layers are fitted on and networks are judged on."""

import keras
import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.check_class_labels import check_class_labels
from keras_basisprune.data.check_data import check_data
from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.utils.check_numeric import check_numeric

SHARE, ENOUGH = 0.5, 100  # what is held out by default, if so many are judged


class JudgedData:
    """Images, and what a network should answer to some of them.

    Args:
        model: A classifier.
        data: Samples as for `compensate`; with integer labels (and weights), as pairs
            `(x, y)` or triples `(x, y, sample_weight)`, they are judged by these.
        held_out: Float in [0, 1): the share that is judged on and not fitted on, drawn
            at random with a fixed seed. 0: all are both. `None`: half, if that is 100
            samples or more, else 0.

    Attributes:
        fitted: `KeptBatches` to fit on.
        judged: The same, to judge on.
        labels: Integer array, one for each that is judged; `None` without labels.

    Raises:
        ValueError: If the model is no classifier, or the data do not fit it.
    """

    def __init__(self, model, data, held_out):
        _check_classifier(model)
        several = isinstance(data, tuple | list) and len(data) == 2
        several |= isinstance(data, tuple) and len(data) == 3
        if several and len(model.inputs) == 1:
            checked = check_data("data", model, data[:2], labels="optional")
            data = (*checked, *data[2:])
        answers: list = []
        size = samples_at_once(model)
        batches = KeptBatches.of(model, data, size, answers=answers)
        count = sum(batches.sizes)
        fixed = fixed_batch(model)
        targets, weights = (_joined(part) for part in zip(*answers, strict=True))
        if fixed is not None:  # the last batch is filled up
            given = next((x for x in (targets, weights) if x is not None), ())
            count = len(given) if 0 <= count - len(given) < fixed else count
        self.labels, self._weights = targets, weights
        if targets is not None:
            classes = model.output_shape[-1]
            self.labels = check_class_labels("data", targets, count, classes)
        if weights is not None:
            self._weights = _checked_weights(weights, count)
        self.fitted = self.judged = batches
        self._hold_out(held_out, count, fixed)

    def _hold_out(self, share, count, fixed):
        """Divides the batches; of a network with a fixed batch size, whole ones."""
        batches = self.fitted
        if share is None:
            share = SHARE if round(count * SHARE) >= ENOUGH else 0.0
            share = share if fixed is None or len(batches) > 1 else 0.0
        if not share:
            return
        held = _held(batches, share, fixed)
        if not any(map(np.any, held)) or all(map(np.all, held)):
            raise ValueError(
                "Expected `data` to hold enough samples to hold some out. Received: "
                f"{count}, with held_out={share}. Pass more, or `held_out=0`."
            )
        self.judged = batches.taken(held)
        self.fitted = batches.taken([~mine for mine in held])
        chosen = np.concatenate(held)[:count]
        if self.labels is not None:
            self.labels = self.labels[chosen]
        if self._weights is not None:
            self._weights = self._weights[chosen]

    def answers(self, outputs) -> np.ndarray:
        """The classes that a network names, without those of images that fill up."""
        known = self._weights if self.labels is None else self.labels
        classes = np.argmax(outputs, axis=-1)
        return classes if known is None else classes[: len(known)]

    def share(self, right) -> float:
        """The share of the images for which something is true, by their weights."""
        return float(np.average(right, weights=self._weights))


def _joined(parts) -> np.ndarray | None:
    """The labels (or weights) of all elements as one array; `None` without any."""
    if all(part is None for part in parts):
        return None
    if any(part is None for part in parts):
        raise ValueError(
            "Expected `data` to hold labels (and weights) of all samples or of none. "
            "Received: some batches with, some without. Pass all of one kind."
        )
    arrays = [np.atleast_1d(keras.ops.convert_to_numpy(part)) for part in parts]
    return np.concatenate(arrays)


def _checked_weights(weights, count) -> np.ndarray:
    weights = check_numeric("data", weights, "sample weights").reshape(len(weights), -1)
    fits = weights.shape == (count, 1) and np.isfinite(weights).all()
    if not (fits and weights.min() >= 0 and weights.sum() > 0):
        raise ValueError(
            "Expected `data` to hold one weight >= 0 per sample, not all of them 0. "
            f"Received: {count} samples and weights of shape {weights.shape}, from "
            f"{weights.min():.3g} to {weights.max():.3g}. Leave them out if all are "
            "equal."
        )
    return weights[:, 0].astype(np.float64)


def _held(batches, share, fixed) -> list[np.ndarray]:
    """Boolean arrays, one per batch: the samples that are not fitted on."""
    sizes = batches.sizes
    if fixed is not None:  # the first ones: the last is filled up
        first = round(len(sizes) * share)
        return [np.full(n, place < first) for place, n in enumerate(sizes)]
    rng = np.random.default_rng(0)
    counts = [min(n - 1, round(n * share)) for n in sizes]
    return [rng.permutation(n) < count for n, count in zip(sizes, counts, strict=True)]


def _check_classifier(model):
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][1] or 0) < 2:
        raise ValueError(
            "Expected `model` to have one output of shape (batch, classes), of two "
            f"classes or more. Received: outputs of the shapes {shapes}. End a network "
            "of one sigmoid in two classes, or choose channels by another method, such "
            "as `compensated_channels`."
        )
