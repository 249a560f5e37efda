"""The callback that anneals the cost of a model with gates."""

import keras
import numpy as np

# By how much the logarithm of the pressure changes for each excess of cost, and where
# it stays.
_ASCENT, _LEAST, _MOST = 0.1, 1e-3, 1e3
_EDGE = 1e-3  # least distance from zero of logits of gates that are set


class GatePressure(keras.callbacks.Callback):
    """Lowers what a `GatedModel` may cost, until it costs a share of what it did.

    The target falls by the same factor in each step, from the whole cost to the share
    asked for. While the cost is above it, the pressure of the penalty rises, and while
    it is below, it falls. What the penalty has not yet done is done by moving all
    logits alike, until the gates cost what the target allows.

    In each step gates are opened and closed at random: logistic noise is added to the
    logits, and taken away again afterwards. So an open gate learns what is lost without
    it. When gates settle, logits move away from zero, so that training sees the same
    binary gates as inference, and the optimizer moves them no more.

    Args:
        keep: Float in (0, 1], the share asked for.
        ramp: Integer, the number of steps in which the target falls.
        settle: Integer, the step before which gates settle.
        noise: Float, the scale of the noise.
        seed: Integer that the noise follows from.
    """

    def __init__(self, keep, ramp, settle, noise, seed):
        super().__init__()
        self._keep, self._ramp, self._settle = keep, ramp, settle
        self._scale, self._rng = noise, np.random.default_rng(seed)
        self._step, self._noise = 0, None
        self.shares: list[float] = []  # of the cost, in each step

    def on_train_batch_begin(self, batch, logs=None):
        if self._step < self._settle:
            self._quiet()
            self._look()
        elif self._step == self._settle:
            self._quiet()
            self._stay()
        self._step += 1

    def on_test_begin(self, logs=None):
        self._quiet()

    def on_train_end(self, logs=None):
        self._quiet()
        if self._step <= self._settle:
            self._stay()

    def _quiet(self):
        """Takes the noise away from the logits."""
        if hasattr(self.model, "jax_state_sync"):  # JAX: weights are elsewhere
            self.model.jax_state_sync()
        if self._noise is not None:
            self.model.budget.assign(self.model.budget.logits() - self._noise)
            self._noise = None

    def _look(self):
        """Looks what the gates cost, moves pressure and logits, and adds noise."""
        budget = self.model.budget
        logits = budget.logits()
        target = self._keep ** min(1.0, (self._step + 1) / self._ramp)
        share = budget.share_of(logits > 0)
        pressure = float(keras.ops.convert_to_numpy(self.model.pressure))
        pressure *= np.exp(np.clip(_ASCENT * (share / target - 1), -1.0, 1.0))
        self.model.pressure.assign(np.clip(pressure, _LEAST, _MOST))
        logits = _moved(budget, logits, budget.opened(logits, target), _EDGE)
        self.shares.append(budget.share_of(logits > 0))
        self._noise = self._rng.logistic(size=len(logits)) * self._scale
        budget.assign(logits + self._noise)

    def _stay(self):
        """Has gates stay as they are, at the cost that was asked for."""
        budget = self.model.budget
        logits = budget.logits()
        opened = budget.opened(logits, self._keep)
        opened = budget.filled(opened, logits, self._keep)
        self.shares.append(budget.share_of(opened))
        # From there on a sigmoid at the low temperature is binary but for 1e-5.
        edge = 12 * max(gate.low for gate in budget.gates())
        budget.assign(_moved(budget, logits, opened, edge))
        self.model.optimizer.rate.assign(0.0)


def _moved(budget, logits, opened, edge) -> np.ndarray:
    """Logits that are positive where gates are to be open, in the same order.

    They are moved by a number between the weakest gate that is open and the strongest
    that is not, but for the strongest of each layer, which may be open for no other
    reason. Then those that are still on the wrong side of it change sides.
    """
    counts = np.isfinite(logits) & ~budget.strongest(logits)
    least = logits[opened & counts].min(initial=np.inf)
    most = logits[~opened & counts].max(initial=-np.inf)
    if np.isfinite(least) and np.isfinite(most):
        logits = logits - (least + most) / 2
    return np.where(opened, np.maximum(logits, edge), np.minimum(logits, -edge))
