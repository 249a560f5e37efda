"""First-order Taylor scores, added up while a model trains."""

import keras
import numpy as np


class TaylorSum:
    """Adds up `(s dL/ds)^2` in the optimizer's `apply`, without an extra pass.

    `L` is the loss of a batch. The gradient of the scales' L1 or L2 regularization is
    subtracted, because it says nothing about what a basis does for the task.

    This needs a training step that may assign variables which it does not return, as on
    TensorFlow and PyTorch. On JAX the score needs a data set instead.

    Keras calls no `on_train_end` when training raises. The optimizer then keeps
    accumulating, harmlessly, until the next `TaylorSum` replaces this one.

    Args:
        model: The compiled model that trains.
        masks: Its masked parts by name, as `trained_masks` returns them.

    Raises:
        ValueError: On JAX, or if scales have a regularizer other than L1 and L2.
    """

    def __init__(self, model, masks):
        if keras.backend.backend() == "jax":
            raise ValueError(
                "Expected `data` for score='taylor' on the JAX backend, where "
                "gradients can't be added up while the model trains. Received: "
                "data=None. Pass a few hundred samples as `data=(x, y)`."
            )
        self._model = model
        self._masks = masks
        self._sums = {name: _zeros((found.count,)) for name, found in masks.items()}
        self._steps = _zeros(())
        self._by_scale = {id(m.layer.scale): name for name, m in masks.items()}
        for weighed in masks.values():
            _check(weighed.layer)
        optimizer = model.optimizer  # float16: wrapped in one that scales the loss
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        vars(self._optimizer).pop("apply", None)  # of a run that was interrupted
        apply = self._optimizer.apply

        def adding_apply(grads, trainable_variables=None):
            grads = list(grads)
            variables = trainable_variables or model.trainable_variables
            for gradient, variable in zip(grads, variables, strict=True):
                if id(variable) in self._by_scale and gradient is not None:
                    self._add(gradient, variable)
            self._steps.assign_add(1.0)
            return apply(grads, trainable_variables)

        self._optimizer.apply = adding_apply
        model.make_train_function(force=True)

    def _add(self, gradient, scale):
        factor = self._optimizer.loss_scale_factor or 1.0
        scale_now = keras.ops.cast(scale, "float32")
        gradient = keras.ops.cast(gradient, "float32") / factor
        if scale.regularizer is not None:
            l1, l2 = _strengths(scale.regularizer)
            gradient -= l1 * keras.ops.sign(scale_now) + 2 * l2 * scale_now
        total = self._sums[self._by_scale[id(scale)]]
        total.assign_add(keras.ops.square(scale_now * gradient))

    def scores(self) -> dict[str, np.ndarray]:
        """Returns the averages since the last call, by layer; masked bases score 0."""
        state = self.state()
        self.restore({key: np.zeros_like(value) for key, value in state.items()})
        steps = max(1.0, float(state["taylor_steps"]))
        return {
            name: state[f"taylor_{name}"].astype(np.float64) / steps * weighed.mask
            for name, weighed in self._masks.items()
        }

    @property
    def ready(self) -> bool:
        """Whether a training step has been seen."""
        return float(keras.ops.convert_to_numpy(self._steps.value)) > 0

    def state(self) -> dict[str, np.ndarray]:
        """Returns the sums so far."""
        variables = {f"taylor_{name}": total for name, total in self._sums.items()}
        variables["taylor_steps"] = self._steps
        return {
            key: np.array(keras.ops.convert_to_numpy(variable.value))
            for key, variable in variables.items()
        }

    def restore(self, state):
        """Restores what `state` returned."""
        for name, total in self._sums.items():
            total.assign(state[f"taylor_{name}"])
        self._steps.assign(state["taylor_steps"])

    def remove(self):
        """Restores the optimizer's `apply`."""
        vars(self._optimizer).pop("apply", None)
        self._model.make_train_function(force=True)


def _zeros(shape):
    return keras.Variable(np.zeros(shape), dtype="float32", trainable=False)


def _strengths(regularizer):
    """Returns the factors of L1 and L2, 0 for a missing one."""
    return (float(getattr(regularizer, key, 0.0)) for key in ("l1", "l2"))


def _check(layer):
    known = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
    regularizer = layer.scale.regularizer
    if regularizer is not None and type(regularizer) not in known:
        raise ValueError(
            "Expected the scales to be regularized by L1, L2 or L1L2 for "
            "score='taylor', so that its gradient can be subtracted. Received: "
            f"{type(regularizer).__name__} in `{layer.name}`. Pass a few hundred "
            "samples as `data=(x, y)`, or use score='magnitude'."
        )
