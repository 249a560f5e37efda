"""Importance of bases by what the loss would change without them."""

import keras
import numpy as np

from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.layers import BasisScalingConv
from keras_basisprune.trace import trace


def taylor(model, data, loss, batch_size=32) -> dict[str, np.ndarray]:
    """Scores each basis by `E[(s_i dL/ds_i)^2]`, the change of the loss without it.

    First-order Taylor estimate, averaged over the batches of `data`. Gradients come
    from Keras' own training loop, so that every backend works; no weight is changed,
    BatchNormalization runs in inference (dropout as in training), and the
    regularization of scales is left out. The cost is that of one training epoch over
    `data` and a second copy of the model.

    Source: Molchanov, Mallya, Tyree, Frosio, Kautz 2019, *Importance Estimation for
    Neural Network Pruning*, section 3.1.

    Args:
        model: A converted model.
        data: A pair `(x, y)` or triple `(x, y, sample_weight)` of arrays, or whatever
            else `Model.fit` takes.
        loss: The loss, as `Model.compile` takes it.
        batch_size: Integer, samples per batch when `data` are arrays. The gradient is
            averaged over a batch before it is squared; batches weigh the same.

    Returns:
        A dict from the name of each decomposed layer to a float64 array of shape
        `(rank,)`, not negative. Masked bases score 0.

    Raises:
        ValueError: If the model is not converted, or if no batch has finite gradients.

    Example:

    >>> scores = keras_basisprune.scores.taylor(
    ...     model, (x_train[:512], y_train[:512]), "sparse_categorical_crossentropy")
    """
    twin = flatten(model)
    pairs = basis_pairs(trace(twin), model.name)
    for layer in twin.layers:
        layer.trainable = isinstance(layer, BasisScalingConv)
    for pair in pairs.values():
        pair.scaling.scale.regularizer = None
    collector = _Collector(learning_rate=0.0, name="taylor_collector")
    # XLA takes longer to compile than one short pass lasts; JAX has nothing else.
    jit_compile = "auto" if keras.backend.backend() == "jax" else False
    twin.compile(optimizer=collector, loss=loss, jit_compile=jit_compile)
    if isinstance(data, tuple):
        arrays = dict(zip(("x", "y", "sample_weight"), data, strict=False))
        twin.fit(**arrays, batch_size=batch_size, shuffle=False, verbose=0)
    else:
        twin.fit(data, shuffle=False, verbose=0)
    return {
        name: collector.mean_squares(pair.scaling.scale) * pair.mask
        for name, pair in pairs.items()
    }


@keras.saving.register_keras_serializable(package="keras_basisprune")
class _Collector(keras.optimizers.Optimizer):
    """An optimizer that adds up `(variable * gradient)^2` and changes nothing."""

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
        # Private, yet what every custom optimizer goes by: backends hand over
        # different objects for the same variable.
        return self._sums[self._get_variable_index(variable)]

    def mean_squares(self, variable):
        """The average over all steps, a float64 array."""
        total = keras.ops.convert_to_numpy(self._sum(variable).value)
        steps = int(keras.ops.convert_to_numpy(self.iterations))
        if not steps or not np.isfinite(total).all():
            raise ValueError(
                "Expected `data` to give finite gradients. Received: none in any batch "
                "(float16 overflows until its loss scale has settled), or NaN. Pass "
                "more batches, or train with a lower learning rate."
            )
        return total.astype(np.float64) / steps
