"""The callback that masks weak bases while a converted model trains."""

import math

import keras
import numpy as np

from keras_basisprune import scores as score_functions
from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.measure.cost import cost as count
from keras_basisprune.select import Limits, select
from keras_basisprune.trace import trace
from keras_basisprune.training._guard import Guard
from keras_basisprune.training._taylor_sum import TaylorSum
from keras_basisprune.training.schedules import target_at


class L1Thresholding(keras.callbacks.Callback):
    """Masks the bases whose score lies under a threshold, while the scales train.

    L1 regularization makes scales small but, under Adam, never zero: thresholding is
    what removes. Bases are masked at the beginning of an epoch (or of a training
    step), at once and without recompilation; the epoch's training and validation
    then see the masked model, so that its logs belong to it. A masked basis stays
    masked.

    At the end of each epoch, `kept_bases` (number), `params_ratio` and `flops_ratio`
    (of what `fold` would make of the model, relative to the original layers) are
    written into the logs, so that `History`, the progress bar, and `CSVLogger` and
    `TensorBoard` (if they come later in `callbacks`) show them. Masks are weights of
    the model: after `keras.callbacks.BackupAndRestore` brought a killed run back, it
    goes on with the same masks.

    Source: Wong, Kashyap, Moradi 2021 (arXiv:2108.02893), section 3.2.

    Args:
        threshold: Float; or a callable of the training step that returns one, such as
            `keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 0.1)`; or one that
            returns `(active, sparsity)`, such as TFMOT's `PolynomialDecay`: then the
            share `sparsity` of the bases with the lowest scores is masked. Scores are
            relative to the largest of their layer (or of all, if `scope="global"`).
        score: `"magnitude"`, `"energy"`, `"taylor"`, or a function from a model to a
            dict of arrays. `"taylor"` adds up gradients while the model trains; on
            the JAX backend it needs `data`.
        scope: `"local"`, each layer by itself, or `"global"`.
        cost: With `scope="global"`: `"flops"` or `"params"` divides scores by what a
            basis costs. `None` doesn't.
        frequency: Integer, mask every so many epochs or steps.
        unit: `"epoch"` or `"step"`, what `frequency` and `start` count.
        start: Integer, the first epoch or step at which bases are masked.
        min_rank: Integer, bases that each layer keeps at least.
        round_to: Integer, ranks are rounded up to a multiple of this.
        monitor: Name of a metric to guard, such as `"val_accuracy"`. Nothing is
            masked before it was within the budget once; when masking breaks the
            budget, the last step is taken back (masks and weights) and training
            stops. The model is left in the last state within the budget. One copy of
            the weights is held.
        max_drop: Float, how much worse than `baseline` the metric may get.
        baseline: Float; defaults to the best value before anything is masked.
        mode: `"auto"`, `"max"` or `"min"`: whether more is better.
        patience: Integer, epochs for which a broken budget is tolerated, without new
            masks.
        data: A pair `(x, y)` for an extra pass of `"taylor"` (see `scores.taylor`).

    Raises:
        ValueError: If an argument is out of its range, the model is not converted, or
            the logs lack `monitor`.

    Example:

    >>> model = keras_basisprune.convert(model, l1=1e-4)
    >>> model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    >>> model.fit(x, y, epochs=5, callbacks=[keras_basisprune.L1Thresholding(1e-2)])
    """

    def __init__(
        self,
        threshold=1e-2,
        score="magnitude",
        scope="local",
        cost=None,
        frequency=1,
        unit="epoch",
        start=0,
        min_rank=1,
        round_to=1,
        monitor=None,
        max_drop=0.01,
        baseline=None,
        mode="auto",
        patience=0,
        data=None,
    ):
        super().__init__()
        if not (callable(score) or score in score_functions.__all__):
            raise ValueError(
                f"Expected `score` to be one of {score_functions.__all__} or a "
                f"function. Received: score={score!r}."
            )
        if cost not in (None, "flops", "params"):
            raise ValueError(
                f"Expected `cost` to be None, 'flops' or 'params'. Received: cost={cost!r}."
            )
        if unit not in ("epoch", "step") or frequency < 1 or start < 0:
            raise ValueError(
                "Expected `unit` 'epoch' or 'step', `frequency` >= 1 and `start` >= 0. "
                f"Received: unit={unit!r}, frequency={frequency}, start={start}."
            )
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
        self._limits = Limits(scope, None, min_rank, round_to)
        self._step = None
        self._taylor = None

    def on_train_begin(self, logs=None):
        self._pairs = basis_pairs(trace(self.model))
        if not self._pairs:
            raise ValueError(
                "Expected the model to be a converted model. Received: "
                f"model={self.model.name!r}, without BasisScalingConv layers. Call "
                "`keras_basisprune.convert(model)` before `fit`."
            )
        self._costs = _Costs(self.model, self._pairs)
        if self.cost and self._limits.scope == "global":
            costs = self._costs.per_basis(self.cost)
            limits = self._limits
            self._limits = Limits("global", costs, limits.min_rank, limits.round_to)
        self._step = None
        if self.guard:
            self.guard.start()
        if self.score == "taylor" and self.data is None:
            if keras.backend.backend() == "jax":
                raise ValueError(
                    "Expected `data` for score='taylor' on the JAX backend, where "
                    "gradients can't be added up while the model trains. Received: "
                    "data=None. Pass a few hundred samples as `data=(x, y)`."
                )
            self._taylor = TaylorSum(self.model, self._pairs)

    def on_epoch_begin(self, epoch, logs=None):
        if self.guard and self.guard.good is None and self._kept() < self._total():
            self.guard.good = (self.model.get_weights(), self._kept())  # a resumed run
        if self.unit == "epoch" and self._due(epoch):
            self._mask()

    def on_train_batch_begin(self, batch, logs=None):
        if self.unit != "step":
            return
        if self._step is None:
            self._step = self._iterations()
        if self._due(self._step):
            self._mask()
        self._step += 1

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        logs["kept_bases"] = self._kept()
        logs |= self._costs.ratios()
        if self.guard and self.guard.judge(
            logs, self._kept(), self._total(), self.model.get_weights
        ):
            self._take_back()
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self._taylor:
            self._taylor.remove()
            self._taylor = None
        if self.guard and self.guard.strikes:
            self._take_back()

    def _due(self, position) -> bool:
        late = position - self.start
        return late >= 0 and late % self.frequency == 0 and self._allowed()

    def _allowed(self) -> bool:
        return not self.guard or self.guard.allows

    def _mask(self):
        target = target_at(self.threshold, self._iterations())
        if not target.active or (self._taylor and not self._taylor.ready):
            return
        plan = select(self._scores(), target.threshold, target.ratio, self._limits)
        for name, kept in plan.bases.items():
            pair = self._pairs[name]
            mask = np.zeros(pair.rank, "float32")
            mask[list(kept.indices)] = 1.0
            if pair.mask.any():  # what is masked stays masked
                mask *= pair.mask
            pair.scaling.mask.assign(mask)

    def _scores(self):
        if self._taylor:
            return self._taylor.scores()
        if self.score == "taylor":
            loss = self.model.loss
            return score_functions.taylor(self.model, self.data, loss)
        if callable(self.score):
            return self.score(self.model)
        return getattr(score_functions, self.score)(self.model)

    def _take_back(self):
        self.model.set_weights(self.guard.good[0])
        self.guard.strikes = 0

    def _iterations(self) -> int:
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))

    def _kept(self) -> int:
        return sum(int(pair.mask.sum()) for pair in self._pairs.values())

    def _total(self) -> int:
        return sum(pair.rank for pair in self._pairs.values())


class _Costs:
    """What a converted model would cost after folding, relative to the original."""

    def __init__(self, model, pairs):
        self._pairs = pairs
        self._rows = {}
        self._rest = {}
        try:
            counted = count(model)
        except ValueError:  # sizes of the input are unknown: parameters only
            counted = count(model, _smallest(model))
            self._kinds = ("params",)
        else:
            self._kinds = ("params", "flops")
        layers = {layer.name: layer for layer in counted.layers}
        for name, pair in pairs.items():
            n, cout = math.prod(pair.basis.kernel.shape[:-1]), pair.scaling.filters
            flops = layers[pair.scaling.name].flops
            self._rows[name] = (n, cout, flops / (pair.rank * cout))
        for kind in self._kinds:
            halves = sum(
                getattr(layers[layer.name], kind)
                for pair in pairs.values()
                for layer in (pair.basis, pair.scaling)
            )
            self._rest[kind] = getattr(counted, kind) - halves

    def per_basis(self, kind) -> dict[str, float]:
        """What one basis of each layer costs."""
        if kind not in self._kinds:
            raise ValueError(
                "Expected a model with a fixed input size for `cost='flops'`. "
                "Received: sizes that are None. Pass cost='params', or build the "
                "model with a full `keras.Input(shape)`."
            )
        return {
            name: (n + cout) * (per_weight if kind == "flops" else 1)
            for name, (n, cout, per_weight) in self._rows.items()
        }

    def ratios(self) -> dict[str, float]:
        """`params_ratio` and, if sizes are known, `flops_ratio`."""
        result = {}
        for kind in self._kinds:
            before = after = self._rest[kind]
            for name, (n, cout, per_weight) in self._rows.items():
                factor = per_weight if kind == "flops" else 1
                rank = int(self._pairs[name].mask.sum())
                before += factor * n * cout
                after += factor * min(rank * (n + cout), n * cout)
            result[f"{kind}_ratio"] = after / before
        return result


def _smallest(model):
    return tuple(size or 256 for size in model.inputs[0].shape[1:])
