"""First-order Taylor scores that add up while a model trains."""

import keras
import numpy as np


class TaylorSum:
    """Adds up `(s dL/ds)^2` in the optimizer's `apply`, at no extra pass.

    Works where the training step may assign variables that it does not return:
    on TensorFlow and PyTorch. On JAX the score takes a data set instead.
    """

    def __init__(self, model, pairs):
        optimizer = model.optimizer
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self._model = model
        self._pairs = pairs
        self._sums = {
            id(pair.scaling.scale): keras.Variable(
                np.zeros(pair.rank), dtype="float32", trainable=False
            )
            for pair in pairs.values()
        }
        self._steps = keras.Variable(0.0, dtype="float32", trainable=False)
        apply = self._optimizer.apply

        def adding_apply(grads, trainable_variables=None):
            variables = trainable_variables or self._optimizer._trainable_variables
            for gradient, variable in zip(grads, variables, strict=False):
                if id(variable) in self._sums and gradient is not None:
                    change = keras.ops.square(variable * gradient)
                    self._sums[id(variable)].assign_add(change)
            self._steps.assign_add(1.0)
            return apply(grads, trainable_variables)

        self._optimizer.apply = adding_apply
        model.make_train_function(force=True)

    def scores(self) -> dict[str, np.ndarray]:
        """The averages since the last call, per layer; masked bases score 0."""
        steps = max(1.0, float(keras.ops.convert_to_numpy(self._steps.value)))
        result = {}
        for name, pair in self._pairs.items():
            total = self._sums[id(pair.scaling.scale)]
            result[name] = keras.ops.convert_to_numpy(total.value) / steps * pair.mask
            total.assign(np.zeros(pair.rank))
        self._steps.assign(0.0)
        return result

    @property
    def ready(self) -> bool:
        """Whether a training step has been seen."""
        return float(keras.ops.convert_to_numpy(self._steps.value)) > 0

    def remove(self):
        """Gives the optimizer its own `apply` back."""
        del self._optimizer.apply
        self._model.make_train_function(force=True)
