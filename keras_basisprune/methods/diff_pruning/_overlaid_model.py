"""Trains a model with weights that are computed anew in every call."""

import keras
from keras import ops


class OverlaidModel(keras.Model):
    """A model on whose variables others are laid, for training only.

    In a call, variables have the values that an overlay computes of them. Those of
    BatchNormalization and of random seeds are updated as ever. This works for any
    `keras.Model`, on every backend, since all that is replaced are the values of
    variables, by `keras.StatelessScope`.

    Args:
        base: A built `keras.Model`; it is shared, not copied.
        overlay: A built layer. `overlay(values, training=...)` returns the new values
            of `overlaid`; it may have losses.
        overlaid: List of the base's variables that it computes.
        trained: List of the base's variables that train themselves (the head).
    """

    def __init__(self, base, overlay, overlaid, trained):
        super().__init__(name=base.name, autocast=False)
        self.base, self.overlay = base, overlay
        # In a function, so that Keras doesn't track them as this model's own.
        self._lists = lambda: (overlaid, [*overlay.trainable_variables, *trained])
        self.built = True

    def call(self, inputs, training=None):
        overlaid, _ = self._lists()
        values = {id(v): v.value for v in self.base.variables}
        origins = [ops.stop_gradient(values[id(v)]) for v in overlaid]
        made = self.overlay(origins, training=training)
        values |= {id(v): value for v, value in zip(overlaid, made, strict=True)}
        mapping = [(v, values[id(v)]) for v in self.base.variables]
        scope = keras.StatelessScope(mapping, collect_losses=True)
        given = [(v, scope.get_current_value(v)) for v, _ in mapping]
        with scope:
            outputs = self.base(inputs, training=training)
            losses = list(scope.losses)
        for variable, before in given:
            after = scope.get_current_value(variable)
            if after is not before:
                variable.assign(after)
        for loss in losses:
            self.add_loss(loss)
        return outputs

    @property
    def trainable_variables(self):
        return list(self._lists()[1])

    @property
    def trainable_weights(self):
        return list(self._lists()[1])

    @property
    def non_trainable_variables(self):
        return self._others(self.variables)

    @property
    def non_trainable_weights(self):
        return self._others(self.weights)

    def _others(self, variables):
        trained = {id(v) for v in self._lists()[1]}
        return [v for v in variables if id(v) not in trained]
