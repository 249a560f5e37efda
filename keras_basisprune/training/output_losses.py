"""The losses of training, one per output of a model."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.compiled_losses import compiled_losses, loss_name
from keras_basisprune.training.binary_distillation import BinaryDistillation
from keras_basisprune.training.cosine_distance import CosineDistance
from keras_basisprune.training.distillation import Distillation
from keras_basisprune.training.scaled_error import ScaledSquaredError

_LEAST = 0.01  # variance of an entry, as a share of the mean of all

_MEANS = ("mean", "mean_with_sample_weight", "sum_over_batch_size")


@dataclasses.dataclass(frozen=True, eq=False)
class OutputLosses:
    """The losses of training, one per output of a model.

    Attributes:
        outputs: The `Output`s.
        losses: List of `keras.losses.Loss`es, or of functions of targets and outputs.
        weights: List of floats, how much each counts.
        distilled: Whether the targets are the outputs of a teacher.
    """

    outputs: tuple
    losses: list
    weights: list[float]
    distilled: bool

    def total(self, targets, found) -> float:
        """Returns the loss of some samples, summed over the outputs.

        Args:
            targets: List of arrays, one per output.
            found: List of arrays, the outputs.
        """
        parts = zip(self.losses, self.weights, targets, found, strict=True)
        return sum(
            weight * _mean(loss, truth, said) for loss, weight, truth, said in parts
        )

    @property
    def classes(self) -> bool:
        """Whether the only output names classes, so that answers can be counted."""
        return len(self.outputs) == 1 and self.outputs[0].kind == "classes"

    def constant(self, targets, found) -> list:
        """Returns one answer for all samples, their mean target, for each output.

        Where targets can't be averaged, the outputs themselves.

        Args:
            targets: List of arrays, one per output.
            found: List of arrays, the outputs.
        """
        pairs = zip(self.outputs, targets, found, strict=True)
        return [_constant(*pair, self.distilled) for pair in pairs]

    def afterwards(self) -> "OutputLosses":
        """Returns losses towards labels, with which a model can be trained further."""
        if not self.distilled:
            return self
        losses = [_default(output, np.empty(0)) for output in self.outputs]
        return dataclasses.replace(self, losses=losses, distilled=False)

    def described(self) -> list[str]:
        """Describes the losses, the same in every process."""
        found = []
        for loss, weight in zip(self.losses, self.weights, strict=True):
            try:
                config = sorted(loss.get_config().items())
            except Exception:  # a function, or a loss that can't tell its config
                config = []
            found.append(f"{loss_name(loss)} {config} {weight}")
        return found

    def metrics(self):
        """Returns the metric of training as `compile` takes it; `None` for none."""
        if not self.classes:
            return None
        if self.distilled:
            return [keras.metrics.CategoricalAccuracy(name="agreement")]
        return ["accuracy"]


def _mean(loss, targets, found) -> float:
    """Returns the mean of a loss over all samples.

    Within `fit` under a strategy of `tf.distribute`, Keras divides the mean that a
    `Loss` returns by the number of replicas, for the sum over them.
    """
    value = float(np.mean(keras.ops.convert_to_numpy(loss(targets, found))))
    reduced = getattr(loss, "reduction", None) in _MEANS
    if keras.backend.backend() == "tensorflow" and reduced:
        one = keras.losses.MeanSquaredError()(np.zeros((1, 1)), np.ones((1, 1)))
        value /= float(keras.ops.convert_to_numpy(one))
    return value


def distillation_losses(outputs, typical, temperature=1.0) -> OutputLosses:
    """Returns the losses towards the outputs of a teacher, by what each output is.

    Classes: `Distillation`; yes and no: `BinaryDistillation`; directions:
    `CosineDistance`; numbers: `ScaledSquaredError`, by their variance. For maps and
    sequences, that is the same at each position.

    Args:
        outputs: A sequence of `Output`s.
        typical: List of arrays: the teacher's outputs for some samples.
        temperature: Float > 0, for classes and for yes and no.
    """
    losses = []
    for output, values in zip(outputs, typical, strict=True):
        logits = bool(output.logits)
        if output.kind == "classes":
            losses.append(Distillation(temperature, logits))
        elif output.kind == "binary":
            losses.append(BinaryDistillation(temperature, logits))
        elif output.kind == "directions":
            losses.append(CosineDistance())
        else:
            losses.append(ScaledSquaredError(_variances(values)))
    return OutputLosses(tuple(outputs), losses, [1.0] * len(losses), True)


def label_losses(model, outputs, targets) -> OutputLosses:
    """Returns the losses towards labels: those that a model was compiled with.

    Where it was not: cross-entropy for classes and for yes and no, cosine distance for
    directions, and squared error for numbers.

    Args:
        model: The `keras.Model`.
        outputs: Its `Output`s.
        targets: List of arrays, labels of some samples, one per output.
    """
    compiled, weights = compiled_losses(model)
    if any(own is not None for own in compiled):  # others don't train
        pairs = zip(compiled, weights, strict=True)
        weights = [0.0 if own is None else weight for own, weight in pairs]
    unknown = [o.name for o, y in zip(outputs, targets, strict=True) if y is None]
    if unknown:
        raise ValueError(
            "Expected `train` to hold labels for all outputs, to train by them. "
            f"Received: none for {unknown}. Pass them, or train towards a teacher."
        )
    losses = [
        _default(output, np.asarray(labels)) if own is None else own
        for own, output, labels in zip(compiled, outputs, targets, strict=True)
    ]
    return OutputLosses(tuple(outputs), losses, weights, False)


def _default(output, labels):
    logits = bool(output.logits)
    if output.kind == "classes":
        whole = labels.ndim == len(output.shape) + 1
        if whole and labels.shape[-1] == output.shape[-1]:
            return keras.losses.CategoricalCrossentropy(from_logits=logits)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    if output.kind == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=logits)
    if output.kind == "directions":
        return CosineDistance()
    return keras.losses.MeanSquaredError()


def _constant(output, labels, found, distilled):
    labels = np.asarray(labels)
    if output.kind == "classes" and labels.dtype.kind in "iub":
        if labels.ndim == found.ndim and labels.shape[-1] == 1:
            labels = labels[..., 0]
        if labels.ndim < found.ndim:
            labels = np.eye(found.shape[-1], dtype="float32")[labels]
    if labels.shape == found.shape[:-1] and found.shape[-1] == 1:
        labels = labels[..., None]
    if labels.shape != found.shape:
        return found
    if output.logits and not distilled:
        share = np.clip(labels.mean(0, keepdims=True), 1e-6, 1 - 1e-6)
        mean = np.log(share / (1 - share)) if output.kind == "binary" else np.log(share)
    else:
        mean = labels.astype("float32").mean(0, keepdims=True)
    return np.broadcast_to(mean, found.shape).astype("float32")


def _variances(values) -> np.ndarray:
    """Returns the variances along the last axis, none of them close to 0."""
    values = np.asarray(values, np.float64)
    flat = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    found = flat.var(axis=0)
    return np.maximum(found, max(_LEAST * found.mean(), 1e-12))
