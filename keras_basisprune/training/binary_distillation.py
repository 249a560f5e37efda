"""The distillation loss of answers that say yes or no."""

import keras

_FLOOR = 1e-30  # below any probability that matters; float32 goes down to 1e-38


@keras.saving.register_keras_serializable(package="keras_basisprune")
class BinaryDistillation(keras.losses.Loss):
    """Kullback-Leibler divergence of sigmoids from those of a teacher, one by one.

    `T^2 (t log(t / s) + (1 - t) log((1 - t) / (1 - s)))`, where `t` and `s` are the
    probabilities of teacher and student for yes, softened by the temperature as if
    their logits had been divided by `T`; averaged over labels, positions and batch.

    Args:
        temperature: Float > 0, `T`.
        from_logits: Whether outputs are logits instead of probabilities.
        **kwargs: Passed on to `keras.losses.Loss`.
    """

    def __init__(
        self, temperature=1.0, from_logits=False, name="binary_distillation", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        self.temperature, self.from_logits = temperature, from_logits

    def call(self, y_true, y_pred):
        teacher, student = self._softened(y_true), self._softened(y_pred)
        divergence = 0.0
        for sign in (1.0, -1.0):
            ours, theirs = _log_sigmoid(sign * teacher), _log_sigmoid(sign * student)
            divergence += keras.ops.exp(ours) * (ours - theirs)
        return self.temperature**2 * keras.ops.mean(divergence, axis=-1)

    def get_config(self):
        own = {"temperature": self.temperature, "from_logits": self.from_logits}
        return {**super().get_config(), **own}

    def _softened(self, outputs):
        """Returns the logits, divided by the temperature."""
        logits = outputs
        if not self.from_logits:
            yes = keras.ops.maximum(outputs, _FLOOR)
            # In float32, 1 - p is 0 from p = 1 - 6e-8 on.
            no = keras.ops.maximum(1.0 - outputs, 1e-8)
            logits = keras.ops.log(yes) - keras.ops.log(no)
        return logits / self.temperature


def _log_sigmoid(logits):
    return -keras.ops.softplus(-logits)
