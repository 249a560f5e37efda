"""Where a delta belongs in a model."""

import keras

from keras_basisprune.methods.diff_pruning._fingerprint import fingerprint
from keras_basisprune.methods.diff_pruning._scatter import Scatter
from keras_basisprune.methods.diff_pruning._task_weights import owners, split_weights


class DeltaSites:
    """The weights of a model that a delta is for.

    Args:
        argument: Name of the argument that held the model, for messages.
        model: A built `keras.Model`.
        delta: A `TaskDelta`.

    Raises:
        ValueError: If the model has another number of weights.
    """

    def __init__(self, argument, model, delta):
        self.argument, self.model, self.delta = argument, model, delta
        count = len(model.weights)
        self.has_head = count == delta.weight_count
        if not self.has_head and count != delta.weight_count - len(delta.head):
            self._refuse(
                f"a model with {count} weights, not {delta.weight_count} (or "
                f"{delta.weight_count - len(delta.head)} without the head)"
            )
        places = {change.place for change in delta.head} if self.has_head else set()
        found = split_weights(model, [place in places for place in range(count)])
        self.base, self.head = found.base, found.head

    def check_base(self):
        """Raises `ValueError` unless the base is the delta's, all weights the same."""
        found = fingerprint(self.base)
        if found != self.delta.fingerprint:
            self._refuse(
                f"one with the fingerprint {found[:12]}..., where "
                f"{self.delta.fingerprint[:12]}... is wanted"
            )

    def check_head(self):
        """Raises `ValueError` unless the head has the delta's shapes, or is missing."""
        for variable, change in self._other_heads():
            raise ValueError(
                f"Expected `{self.argument}` to have a head with weights of the shape "
                f"{change.shape}, as the task has. Received: {tuple(variable.shape)}, "
                f"for `{variable.path}`. Use `apply`, which makes the head of a "
                "Functional or Sequential model anew, or give the model such a head."
            )

    def new_head(self) -> dict:
        """Layers that replace the head, by `id`; none if its shapes are right."""
        if not any(True for _ in self._other_heads()):
            return {}
        layers, configs = owners(self.model, self.head), self.delta.head_layers
        if len(layers) != len(configs) or None in configs:
            self.check_head()
        made = map(keras.saving.deserialize_keras_object, configs)
        return {id(old): new for old, new in zip(layers, made, strict=True)}

    def _other_heads(self):
        if self.has_head:
            for variable, change in zip(self.head, self.delta.head, strict=True):
                if tuple(variable.shape) != change.shape:
                    yield variable, change

    def scatter(self) -> Scatter:
        """Returns what writes the delta, as often as wanted."""
        changes = [(self.base[c.place], c) for c in self.delta.changes]
        if self.has_head:
            changes += zip(self.head, self.delta.head, strict=True)
        variables = [variable for variable, _ in changes]
        positions = [change.positions for _, change in changes]
        return Scatter(variables, positions, [change.values for _, change in changes])

    def _refuse(self, received):
        raise ValueError(
            f"Expected `{self.argument}` to be the base that the delta was learned on "
            f"(without another delta in it). Received: {self.model.name!r}, "
            f"{received}. Load the base again, or remove a delta that is in it."
        )
