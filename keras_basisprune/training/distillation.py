"""The distillation loss: a small network learns the outputs of a large one."""

import keras

_FLOOR = 1e-30  # below any probability that matters; float32 goes down to 1e-38


@keras.saving.register_keras_serializable(package="keras_basisprune")
class Distillation(keras.losses.Loss):
    """Kullback-Leibler divergence of a model's probabilities from its teacher's.

    `T^2 sum_k t_k (log t_k - log s_k)`, averaged over the batch, where `t` and `s` are
    the probabilities of teacher and student, softened by the temperature: raised to the
    power of `1 / T` and normalized again, as if the logits had been divided by `T`.

    Unlike in `keras.losses.KLDivergence`, probabilities under 1e-7 are not clipped:
    there the gradient would vanish where the student is most wrong.

    Source: Hinton, Vinyals, Dean 2015, *Distilling the Knowledge in a Neural Network*
    (arXiv:1503.02531), section 2.

    Classes are on the last axis; positions before it are averaged.

    Args:
        temperature: Float > 0, `T`.
        from_logits: Whether outputs are logits instead of probabilities.
        **kwargs: Passed on to `keras.losses.Loss`.

    Example:

    >>> model.compile("adam", Distillation(temperature=2.0))
    >>> model.fit(images, teacher.predict(images))
    """

    def __init__(
        self, temperature=1.0, from_logits=False, name="distillation", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        self.temperature, self.from_logits = temperature, from_logits

    def call(self, y_true, y_pred):
        teacher, student = self._softened(y_true), self._softened(y_pred)
        divergence = keras.ops.exp(teacher) * (teacher - student)
        return self.temperature**2 * keras.ops.sum(divergence, axis=-1)

    def get_config(self):
        own = {"temperature": self.temperature, "from_logits": self.from_logits}
        return {**super().get_config(), **own}

    def _softened(self, outputs):
        """Returns logarithms of the softened probabilities."""
        logits = outputs
        if not self.from_logits:
            logits = keras.ops.log(keras.ops.maximum(outputs, _FLOOR))
        return keras.ops.log_softmax(logits / self.temperature)
