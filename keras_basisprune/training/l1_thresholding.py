"""The callback that masks weak bases or channels while a model trains."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_basisprune import scores as score_functions
from keras_basisprune.data.ends import check_ends
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.measure.mask_costs import MaskCosts
from keras_basisprune.plans.above_threshold import above_threshold
from keras_basisprune.plans.limits import Limits
from keras_basisprune.scores.energy import energies
from keras_basisprune.scores.magnitude import magnitudes
from keras_basisprune.training._guard import Guard, check_guard
from keras_basisprune.training._memory import Memory
from keras_basisprune.training._nothing_masked import (
    masks_undone_warning,
    nothing_masked_warning,
)
from keras_basisprune.training._schedules import target_at
from keras_basisprune.training._taylor_sum import TaylorSum
from keras_basisprune.training._thresholding_arguments import (
    check_thresholding,
    check_watched,
)
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data


class L1Thresholding(keras.callbacks.Callback):
    """Masks the bases whose score is below a threshold, while the scales train.

    Channels are masked in the same way if layers of the model scale and mask them (see
    `layers.TrainedMask`); "bases" below then means channels.

    L1 regularization makes scales small but, under Adam, never zero: it is thresholding
    that removes bases. They are masked at the beginning of an epoch (or of a training
    step), at once and without recompilation; the epoch's training and validation use
    the masked model, so that its logs belong to it. A masked basis stays masked.

    At the end of each epoch, `kept_bases` (or `kept_channels`), `params_ratio` and
    `flops_ratio` (of the model after `fold`, relative to the original layers) are
    written into the logs, so that `History`, the progress bar, and `CSVLogger` and
    `TensorBoard` (if they come later in `callbacks`) show them. If nothing is masked
    when training ends, a warning says how far the weakest basis was from the threshold.

    Put `keras.callbacks.BackupAndRestore` after this callback: masks are weights of the
    model, and all other state of this callback is saved with them, so that a run that
    was killed between epochs continues exactly where it stopped.

    Source: Wong, Kashyap, Moradi 2021 (arXiv:2108.02893), section 3.2.

    Args:
        threshold: Float; or a callable of the training step that returns one, such as
            `keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 0.1)`; or one that
            returns `(active, sparsity)`, such as TFMOT's `PolynomialDecay`: then the
            share `sparsity` of the bases with the lowest scores is masked, if
            `active` was true at any step since the last time. Scores are relative to
            the largest of their layer (or of all, if `scope="global"`).
        score: `"magnitude"`, `"energy"`, `"taylor"`, or a function from a model to a
            dict of arrays. `"taylor"` adds up gradients while the model trains,
            without those of the scales' regularization; on JAX it needs `data`.
        scope: `"local"`, each layer by itself, or `"global"`.
        cost: With `scope="global"`: `"flops"` or `"params"` divides scores by the cost
            of a basis; `None` doesn't.
        frequency: Integer, the number of epochs or steps from one masking to the next.
        unit: `"epoch"` or `"step"`, the unit of `frequency` and `start`.
        start: Integer, the first epoch or step at which bases are masked.
        min_kept: Integer, the smallest number of bases or channels that a layer keeps.
        round_to: Integer, ranks are rounded up to a multiple of this.
        monitor: Name of a metric to guard, such as `"val_accuracy"`. Nothing is
            masked while it exceeds the budget; when masking makes it do so, the last
            step is undone (masks and weights) and training stops. In the end the model
            has the last state within the budget, if there was one. One copy of the
            weights is held.
        max_drop: Float, how much worse than `baseline` the metric may get.
        baseline: Float; defaults to the best value before anything is masked.
        mode: `"auto"`, `"max"` or `"min"`: whether more is better.
        patience: Integer, epochs for which an exceeded budget is tolerated, without new
            masks.
        data: A pair `(x, y)` for an extra pass of `"taylor"` (see `scores.taylor`),
            with the model's loss, unweighted.

    Raises:
        ValueError: If an argument is out of its range, the model is not converted, or
            the logs lack `monitor`.

    Example:

    >>> model = keras_basisprune.convert(model, l1=1e-4)
    >>> model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    >>> rising = keras.optimizers.schedules.ExponentialDecay(3e-4, len(x) // 32, 2.0)
    >>> thresholding = keras_basisprune.L1Thresholding(
    ...     rising, score="energy", scope="global", cost="params", start=1,
    ...     monitor="val_accuracy")
    >>> model.fit(x, y, epochs=10, validation_split=0.2, callbacks=[thresholding])
    """

    def __init__(
        self,
        threshold: float | Callable[[int], Any] = 1e-2,
        *,
        score: str | Callable[[keras.Model], Mapping[str, npt.ArrayLike]] = "magnitude",
        scope: str = "local",
        cost: str | None = None,
        frequency: int = 1,
        unit: str = "epoch",
        start: int = 0,
        min_kept: int = 1,
        round_to: int = 1,
        monitor: str | None = None,
        max_drop: float = 0.01,
        baseline: float | None = None,
        mode: str = "auto",
        patience: int = 0,
        data: Data = None,
    ) -> None:
        super().__init__()
        check_thresholding(score, scope, cost, frequency, unit, start)
        check_whole("min_kept", min_kept, remedy="1 demands nothing.")
        check_watched(monitor, data)
        check_guard(max_drop, baseline, mode, patience)
        if not callable(threshold):
            target_at(threshold, 0)
        self.threshold = threshold
        self.score = score
        self.cost = cost
        self.frequency = frequency
        self.unit = unit
        self.start = start
        self.data = data
        self.guard = monitor and Guard(monitor, max_drop, baseline, mode, patience)
        self.scope = scope
        self._limits = Limits(min_kept=min_kept, round_to=round_to)
        self._each = None  # the cost of a basis by layer, if scores are divided by it
        self._looked = None  # the last step at which the schedule was evaluated
        self._memory: Any = None
        self._taylor: Any = None

    def set_model(self, model: keras.Model) -> None:
        check_model("model", model)
        super().set_model(model)
        # Here, because `BackupAndRestore` may load before our `on_train_begin`.
        self._memory = Memory(model, self._state)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        traced = trace(self.model)
        self._masks = trained_masks(traced)
        if not self._masks:
            raise ValueError(
                "Expected the model to be a converted model. Received: "
                f"model={self.model.name!r}, without BasisScalingConv layers. Call "
                "`keras_basisprune.convert(model)` before `fit`."
            )
        self._costs = MaskCosts(self.model, traced, self._masks)
        if self.cost and self.scope == "global":
            self._each = self._costs.per_item(self.cost)
        self._first: Any = None
        self._asked = None
        self._masked = False  # whether anything was masked at any time
        if self.guard:
            self.guard.start()
        check_ends("data", self.data)
        if self.score == "taylor" and self.data is None:
            self._taylor = TaylorSum(self.model, self._masks)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._first is None:
            self._recall()
        self._first = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        if self.unit == "epoch" and self._due(epoch, 1):
            self._mask(self._first)

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self.unit == "step" and self._due(
            self._first + batch, self.model.steps_per_execution
        ):
            if hasattr(self.model, "jax_state_sync"):  # JAX: weights are elsewhere
                self.model.jax_state_sync()
            self._mask(self._first + batch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        kept, total = self._costs.kept_and_total()
        self._masked |= kept < total
        logs |= self._costs.logs()
        if self.guard and self.guard.judge(logs, kept, total, self.model.get_weights):
            self.model.set_weights(self.guard.good[0])
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._memory.remove(self.model)
        if self._taylor:
            self._taylor.remove()
            self._taylor = None
        if self.guard and self.guard.good and not self.guard.within:
            self.model.set_weights(self.guard.good[0])
        kept, total = self._costs.kept_and_total()
        if kept == total:
            warnings.warn(self._nothing_masked(), stacklevel=2)

    def _nothing_masked(self) -> str:
        if self._masked:  # and then undone
            return masks_undone_warning(self.guard)
        known = self.score in ("magnitude", "energy")  # others need a pass over data
        scores = self._scores() if known else None
        layers = [weighed.layer for weighed in self._masks.values()]
        scales = np.concatenate([keras.ops.convert_to_numpy(x.scale) for x in layers])
        return nothing_masked_warning(
            scores, scales, self.scope, self._each, self._asked
        )

    def _due(self, position, width) -> bool:
        """Returns whether bases are masked at one of the next `width` positions."""
        late = position - self.start
        wait = -late if late < 0 else -late % self.frequency
        return wait < width and (not self.guard or self.guard.within)

    def _mask(self, step):
        if self._taylor and not self._taylor.ready:
            return
        target = self._asked = target_at(self.threshold, step)
        since = range(step if self._looked is None else self._looked + 1, step)
        self._looked = step
        asked = (target_at(self.threshold, past).active for past in since)
        if not (target.active or any(asked)):
            return
        plan = above_threshold(
            self._scores(),
            target.threshold,
            ratio=target.ratio,
            scope=self.scope,
            costs=self._each,
            limits=self._limits,
        )
        for name, kept in plan.bases.items():
            weighed = self._masks[name]
            mask = np.zeros(weighed.count, "float32")
            mask[list(kept.indices)] = 1.0
            weighed.layer.mask.assign(mask * weighed.mask)  # masked stays masked

    def _scores(self):
        if self._taylor:
            return self._taylor.scores()
        if self.score == "taylor":
            loss = self.model.loss
            return score_functions.taylor(self.model, self.data, loss=loss)
        if not callable(self.score):
            direct = {"magnitude": magnitudes, "energy": energies}
            return direct[self.score](self._masks)
        scores = self.score(self.model)
        shapes = {name: np.shape(values) for name, values in scores.items()}
        ranks = {name: (weighed.count,) for name, weighed in self._masks.items()}
        if not shapes.items() <= ranks.items():
            raise ValueError(
                "Expected `score` to return an array of shape (rank,) per decomposed "
                f"layer. Received: shapes {shapes}; there are {ranks}. Use their names."
            )
        return scores

    def _state(self) -> dict:
        """Returns what a resumed run needs besides the weights."""
        state = {} if self._looked is None else {"looked": np.int64(self._looked)}
        if self.guard:
            state |= self.guard.state(self.model.get_weights())
        return state | (self._taylor.state() if self._taylor else {})

    def _recall(self):
        """Restores the state that `BackupAndRestore` has loaded, if any."""
        loaded = self._memory.loaded
        if "looked" in loaded:
            self._looked = int(loaded["looked"])
        if self._taylor and "taylor_steps" in loaded:
            self._taylor.restore(loaded)
        if self.guard:
            kept, total = self._costs.kept_and_total()
            self.guard.restore(loaded, self.model.get_weights(), kept < total)
