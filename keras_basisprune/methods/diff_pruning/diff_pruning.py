"""Diff pruning: a task as a sparse difference to a frozen network."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_basisprune.graph.trace import check_model
from keras_basisprune.methods.diff_pruning._fingerprint import array_of, fingerprint
from keras_basisprune.methods.diff_pruning._fit_overlay import Task, fit_overlay
from keras_basisprune.methods.diff_pruning._head_configs import head_configs
from keras_basisprune.methods.diff_pruning._overlays import (
    AtPositions,
    Difference,
    GatedDifference,
)
from keras_basisprune.methods.diff_pruning._positions import (
    split_positions,
    strongest_positions,
)
from keras_basisprune.methods.diff_pruning._task_data import check_task_data, whole
from keras_basisprune.methods.diff_pruning._task_weights import task_weights
from keras_basisprune.methods.diff_pruning.diff_options import DiffOptions
from keras_basisprune.methods.diff_pruning.task_delta import TaskDelta
from keras_basisprune.methods.diff_pruning.weight_change import WeightChange
from keras_basisprune.training.all_layers import all_layers
from keras_basisprune.training.check_probabilities import check_probabilities
from keras_basisprune.training.quick_statistics import quick_statistics
from keras_basisprune.training.seeds import set_seeds
from keras_basisprune.training.trained_weights import trained_weights
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose

_LABELS = "sparse_categorical_crossentropy"


def diff_pruning(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    *,
    share: float = 0.005,
    head: str | Sequence[str] | None = None,
    loss: Any = _LABELS,
    config: DiffOptions | None = None,
    verbose: Verbose = "auto",
) -> TaskDelta:
    """Learns a task as a sparse difference to a network, which stays as it is.

    First a difference `delta` to all weights is trained, with gates `z` that are pushed
    towards zero: `w + z * delta`. The largest of it, over the whole network, are kept:
    a `share` of all weights. These train on, together with the head, which is the
    task's own and stored whole. Apply the result by `TaskDelta.apply`.

    It works on models of any kind, subclassed ones too: the difference is laid over the
    variables, whatever layers do with them. Every weight of the base that its layer has
    created as trainable may differ, regardless of the `trainable` flags. Regularizers
    of the base's layers are left out.

    The model itself serves for training; in the end all its variables and flags are
    what they were, even if training fails. The same seed, weights and data give the
    same delta on the same machine. Memory is that of fine-tuning by Adam, and with
    gates three more numbers per weight; a step takes as long as one of fine-tuning, and
    the time to draw a random number per weight.

    Source: Guo, Rush, Kim 2020, *Parameter-Efficient Transfer Learning with Diff
    Pruning* (arXiv:2012.07463), sections 2 and 3.

    Args:
        model: A built `keras.Model` with the task's head, trained or not.
        train: A pair `(x, y)` of arrays, `y` integer labels; `x` may be a dict or list
            of arrays, if the model takes that.
        validation: The same, or `None`.
        share: Float in [0, 1], the share of the base's weights, without the head, that
            may differ; 0.005 is 0.5 %. 0 for the head alone, 1 for all weights.
        head: Name or names of the layers of the head. Defaults to the last layer with
            weights.
        loss: A loss as in `keras.Model.compile`. For any but the default, `y` holds
            whatever targets it takes.
        config: A `DiffOptions`; defaults to `DiffOptions()`.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `TaskDelta`.

    Raises:
        ValueError: If an argument is out of its range, the model has no such head, or
            the data do not fit it. Nothing is trained then.

    Example:

    >>> delta = keras_basisprune.methods.diff_pruning(model, (x, y), share=0.005)
    >>> delta
    TaskDelta(16,144 of 3,228,864 weights (0.50%), 21,888 whole, ...)
    >>> network = delta.apply(model)
    """
    config = check_record("config", config, DiffOptions)
    share = check_number(
        *("share", share, "[0, 1]", "a float in [0, 1], the share that may differ"),
        "0.005 lets 0.5 % of the weights differ.",
    )
    check_verbose(verbose)
    check_model("model", model, readable=False)
    if not (model.built and model.weights):
        raise ValueError(
            "Expected `model` to be built, with weights. Received: "
            f"model={model.name!r}, without any. Call it on some data first."
        )
    labels = loss == _LABELS
    train = check_task_data("train", model, train, labels)
    if validation is not None:
        validation = check_task_data("validation", model, validation, labels)
    weights = task_weights(model, head)
    if labels:
        first = keras.tree.map_structure(lambda a: a[:1], whole(train[0]))
        check_probabilities("model", model(first, training=False))
    task = Task(train, validation, loss, labels, verbose)
    with _as_before(model), trained_weights(model, "all"):
        return _Learner(model, weights, share, task, config).learn()


class _Learner:
    """One call of `diff_pruning`, after the checks."""

    def __init__(self, model, weights, share, task, config):
        self.model, self.weights, self.config, self.task = model, weights, config, task
        kind = keras.layers.BatchNormalization
        self.norms = [layer for layer in all_layers(model) if isinstance(layer, kind)]
        of_norms = {id(v) for norm in self.norms for v in norm.trainable_variables}
        own = of_norms if config.batch_norm == "whole" else set()
        free = [v for v in weights.base if v.trainable and _is_float(v)]
        self.sparse = [v for v in free if id(v) not in own]
        head = [v for v in weights.head if v.trainable]
        self.trained = [*head, *(v for v in free if id(v) in own)]
        self.size = sum(int(np.prod(v.shape)) for v in weights.base)
        self.count = int(share * self.size)
        self.before = {id(v): array_of(v) for v in weights.base}
        self.fingerprint = fingerprint(weights.base)

    def learn(self) -> TaskDelta:
        set_seeds(self.model, self.config.seed)
        with quick_statistics(self.model, self.config.momentum), self._norms_frozen():
            overlay = self._difference()
            self._fit(overlay, fixed=False)
            fixed, positions = self._projected(overlay)
            logs = self._fit(fixed, fixed=True)
        return self._delta(fixed, positions, logs)

    def _difference(self):
        config = self.config
        if config.selection == "magnitude" or not self.count:
            return Difference(self.sparse if self.count else [])
        return GatedDifference(
            *(self.sparse, config.structured, config.l0, config.start, config.seed)
        )

    def _fit(self, overlay, fixed):
        sparse = self.sparse if self.count else []
        return fit_overlay(
            self.model, overlay, sparse, self.trained, self.task, self.config, fixed
        )

    def _projected(self, overlay):
        """Returns the overlay of the weights that count most, and their positions."""
        if not self.count:
            return overlay, []
        delta, scores = overlay.found()
        chosen = strongest_positions(scores, self.count)
        before = [self.before[id(v)].reshape(-1) for v in self.sparse]
        first = np.concatenate([a.astype(delta.dtype) for a in before])[chosen]
        positions = split_positions(chosen, overlay.ends)
        return AtPositions(self.sparse, positions, first + delta[chosen]), positions

    def _delta(self, fixed, positions, logs) -> TaskDelta:
        values = fixed.new_values() if self.count else []
        found = {
            id(v): (np.array(keras.ops.convert_to_numpy(new)), place)
            for v, new, place in zip(
                self.sparse if self.count else [], values, positions, strict=True
            )
            if len(place)
        }
        changes = []
        for place, v in enumerate(self.weights.base):
            now, where = found.get(id(v), (array_of(v), None))
            if where is not None or now.tobytes() != self.before[id(v)].tobytes():
                changes.append(WeightChange(v.path, place, v.shape, now, where))
        head = zip(self.weights.places, self.weights.head, strict=True)
        return TaskDelta(
            changes=tuple(changes),
            head=tuple(WeightChange(v.path, n, v.shape, array_of(v)) for n, v in head),
            fingerprint=self.fingerprint,
            base_size=self.size,
            weight_count=len(self.model.weights),
            head_layers=tuple(head_configs(self.model, self.weights.head)),
            metadata={"model": self.model.name, **_options(self.config), "logs": logs},
        )

    @contextlib.contextmanager
    def _norms_frozen(self):
        """Has BatchNormalization of the base run in inference, if it is frozen."""
        if self.config.batch_norm == "frozen":
            for norm in self.norms:
                norm.trainable = False
        for variable in self.trained:
            variable.trainable = True
        yield


@contextlib.contextmanager
def _as_before(model):
    """Restores the values of all variables of a model at the end.

    Inside, no array is shared with another model: JAX gives away what it trains.
    """
    values = [array_of(v) for v in model.variables]
    try:
        for variable, value in zip(model.variables, values, strict=True):
            variable.assign(value.copy())
        yield
    finally:
        for variable, value in zip(model.variables, values, strict=True):
            variable.assign(value)


def _is_float(variable) -> bool:
    return keras.backend.is_float_dtype(variable.dtype)


def _options(config) -> dict:
    options = dataclasses.asdict(dataclasses.replace(config, augment=None))
    options.pop("augment")
    return {"options": options, "augmented": config.augment is not None}
