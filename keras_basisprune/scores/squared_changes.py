"""First-order estimates of the change of the loss without a weight."""

import keras
import numpy as np

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.ends import (
    MANY,
    EndlessData,
    check_ends,
    endless_error,
    length,
)
from keras_basisprune.graph.running import fit
from keras_basisprune.utils.shown import described, shown


def squared_changes(model, variables, data, loss, batch_size) -> list[np.ndarray]:
    """Averages `(v dL/dv)^2` over batches, for every element of some variables.

    Gradients come from Keras' own training loop, so that every backend works, with an
    optimizer that changes nothing.

    Args:
        model: A Functional `keras.Model`. It is compiled.
        variables: The `keras.Variable`s, trainable ones of the model.
        data: A tuple `(x, y)` or `(x, y, sample_weight)` of arrays, or anything else
            that `Model.fit` accepts.
        loss: The loss, as for `Model.compile`.
        batch_size: Samples per batch if `data` are arrays. A model with a fixed batch
            size gets batches of that size, the last one filled up.

    Returns:
        A list of float64 arrays of the shapes of `variables`.

    Raises:
        ValueError: If the data do not end, or no batch has finite gradients.
    """
    check_ends("data", data[0] if isinstance(data, tuple) and data else data)
    collector = _Collector(learning_rate=0.0, name="squared_changes")
    # XLA takes longer to compile than a short pass takes; JAX always uses it.
    jit_compile = "auto" if keras.backend.backend() == "jax" else False
    _check(data)
    try:
        model.compile(optimizer=collector, loss=loss, jit_compile=jit_compile)
        if isinstance(data, tuple):
            arrays = dict(zip(("x", "y", "sample_weight"), data, strict=False))
            if (size := fixed_batch(model)) is not None:
                arrays = {name: _filled(value, size) for name, value in arrays.items()}
            size = size or batch_size
            fit(model, **arrays, batch_size=size, shuffle=False, verbose=0)
        else:
            fit(model, data, shuffle=False, verbose=0, callbacks=_callbacks(data))
    except EndlessData:
        raise
    except Exception as error:  # each backend has its own
        raise ValueError(
            "Expected `data` and `loss` to be what `Model.fit` and `Model.compile` "
            f"take, and to fit the model. Received: data={described(data)}, "
            f"loss={shown(loss)}, by which training failed with "
            f"{type(error).__name__}: {str(error)[:300]}. Pass (images, labels) and, "
            "for integer labels, 'sparse_categorical_crossentropy'."
        ) from error
    return [collector.mean_squares(variable) for variable in variables]


def _filled(arrays, size):
    return keras.tree.map_structure(lambda array: fill_up(array, size), arrays)


def _check(data):
    """Raises `ValueError` for data that `Model.fit` would accept without any use."""
    if not isinstance(data, tuple):
        return
    arrays = [x for x in keras.tree.flatten(data) if hasattr(x, "dtype")]
    unreal = any(np.iscomplexobj(array) for array in arrays)
    if len(data) not in (2, 3) or unreal or not all(map(np.size, arrays)):
        raise ValueError(
            "Expected `data` to be a tuple (x, y) or (x, y, sample_weight) of arrays "
            f"of real numbers, at least one. Received: data={described(data)}. Pass "
            "(images, labels)."
        )


def _callbacks(data) -> list:
    return [] if length(data) is not None else [_Watch(data)]


class _Watch(keras.callbacks.Callback):
    """Stops with an error if data of unknown length does not end."""

    def __init__(self, data):
        super().__init__()
        self._data = data

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 >= MANY:
            raise endless_error("data", self._data, f"{batch + 1:,} batches")


class _Collector(keras.optimizers.Optimizer):
    """Adds up `(variable * gradient)^2` and changes nothing."""

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._sums = self.add_optimizer_variables(variables, "squares")

    def update_step(self, gradient, variable, learning_rate):
        total = self._sum(variable)
        change = keras.ops.multiply(variable, gradient)
        self.assign_add(total, keras.ops.square(keras.ops.cast(change, total.dtype)))

    def _sum(self, variable):
        # Private, but every custom optimizer needs it: backends pass different objects
        # for the same variable.
        return self._sums[self._get_variable_index(variable)]

    def mean_squares(self, variable):
        """Returns the average over all steps, a float64 array."""
        total = keras.ops.convert_to_numpy(self._sum(variable).value)
        steps = int(keras.ops.convert_to_numpy(self.iterations))
        if not steps or not np.isfinite(total).all():
            raise ValueError(
                "Expected `data` to give finite gradients. Received: none in any batch "
                "(float16 overflows until its loss scale has settled), or NaN. Pass "
                "more batches, or train with a lower learning rate."
            )
        return total.astype(np.float64) / steps
