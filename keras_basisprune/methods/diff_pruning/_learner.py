"""The training of diff pruning, after the arguments that say how much may differ."""

import contextlib
import dataclasses

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
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose

LABELS = "sparse_categorical_crossentropy"


def learned_deltas(model, train, validation, shares, head, loss, config, verbose):
    """Checks all other arguments of `diff_pruning`, and learns.

    Args:
        shares: List of floats in [0, 1].

    Returns:
        A list of `TaskDelta`s, one for each share.
    """
    config = check_record("config", config, DiffOptions)
    check_verbose(verbose)
    check_model("model", model, readable=False)
    if not (model.built and model.weights):
        raise ValueError(
            "Expected `model` to be built, with weights. Received: "
            f"model={model.name!r}, without any. Call it on some data first."
        )
    labels = isinstance(loss, str) and loss == LABELS
    train = check_task_data("train", model, train, labels)
    if validation is not None:
        validation = check_task_data("validation", model, validation, labels)
    weights = task_weights(model, head)
    if labels:
        first = keras.tree.map_structure(lambda a: a[:1], whole(train[0]))
        check_probabilities("model", model(first, training=False))
    task = Task(train, validation, loss, labels, verbose)
    with _as_before(model), trained_weights(model, "all"):
        return _Learner(model, weights, task, config).learn(shares)


class _Learner:
    """One call of `diff_pruning`, after the checks."""

    def __init__(self, model, weights, task, config):
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
        self.before = {id(v): array_of(v) for v in weights.base}
        self.fingerprint = fingerprint(weights.base)

    def learn(self, shares) -> list[TaskDelta]:
        set_seeds(self.model, self.config.seed)
        counts = [int(share * self.size) for share in shares]
        with quick_statistics(self.model, self.config.momentum), self._norms_frozen():
            overlay = self._difference(any(counts))
            self._fit(overlay, fixed=False)
            if len(counts) == 1:
                return [self._kept(overlay, counts[0])]
            state, deltas = [array_of(v) for v in self.model.variables], []
            for count in counts:
                for variable, value in zip(self.model.variables, state, strict=True):
                    variable.assign(value.copy())
                deltas.append(self._kept(overlay, count))
            return deltas

    def _difference(self, anything):
        config = self.config
        if config.selection == "magnitude" or not anything:
            return Difference(self.sparse if anything else [])
        return GatedDifference(
            *(self.sparse, config.structured, config.l0, config.start, config.seed)
        )

    def _fit(self, overlay, fixed):
        sparse = self.sparse if overlay.shapes else []
        return fit_overlay(
            self.model, overlay, sparse, self.trained, self.task, self.config, fixed
        )

    def _kept(self, overlay, count) -> TaskDelta:
        """Trains on the weights that count most, and returns what has changed."""
        if not count:
            return self._delta({}, self._fit(Difference([]), fixed=True))
        delta, scores = overlay.found()
        chosen = strongest_positions(scores, count)
        before = [self.before[id(v)].reshape(-1) for v in self.sparse]
        first = np.concatenate([a.astype(delta.dtype) for a in before])[chosen]
        positions = split_positions(chosen, overlay.ends)
        fixed = AtPositions(self.sparse, positions, first + delta[chosen])
        logs = self._fit(fixed, fixed=True)
        rows = zip(self.sparse, fixed.new_values(), positions, strict=True)
        found = {
            id(v): (np.array(keras.ops.convert_to_numpy(new)), where)
            for v, new, where in rows
            if len(where)
        }
        return self._delta(found, logs)

    def _delta(self, found, logs) -> TaskDelta:
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
