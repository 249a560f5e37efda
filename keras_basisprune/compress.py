"""The whole job: channels and bases leave, as many as a budget allows; fold."""

import dataclasses
import functools
import warnings

import keras
import numpy as np

from keras_basisprune.allocate import allocate
from keras_basisprune.compensate import compensate
from keras_basisprune.measure import Comparison, accuracy, compare
from keras_basisprune.methods import convert
from keras_basisprune.plan import Plan
from keras_basisprune.scores.channels import compensated
from keras_basisprune.select_channels import ChannelLimits, select_channels
from keras_basisprune.sparsify import check_data, sparsify
from keras_basisprune.surgery import fold, prune

_LOWEST = 0.01  # the smallest share of the layers' parameters that is tried
_TRIALS = 7
_IMAGES = 1000  # on which each trial is fitted; more are slower and help little


@dataclasses.dataclass(frozen=True)
class CompressionResult:
    """What `compress` made.

    Attributes:
        model: The small model; plain Keras layers only.
        plan: The channels that were kept of the given model, and the bases that were
            kept of the model in which the other channels have left.
        trials: Pairs `(keep, accuracy)`: shares of the parameters that were tried, and
            what was reached on the validation data (NaN where so many channels can't
            leave).
        history: The logs of training, a list of values per name; empty without.
        report: A `Comparison` of original and small model, accuracy included.
        met_budget: Whether the validation accuracy fell by no more than `max_drop`.
            If not, `model` is the original, folded.
    """

    model: keras.Model
    plan: Plan
    trials: tuple[tuple[float, float], ...]
    history: dict[str, list[float]]
    report: Comparison
    met_budget: bool


def compress(
    model,
    train,
    validation,
    max_drop=0.01,
    recipe=None,
    l1=1e-4,
    round_to=1,
    verbose="auto",
    methods=("channels", "bases"),
    compensation=True,
) -> CompressionResult:
    """Makes a trained classifier small within an accuracy budget.

    Seven shares of parameters are tried by bisection. Each time, channels leave first,
    down to the cube root of the share, those that the others can best stand in for
    (`scores.channels.compensated`), and kernels are corrected (`compensate`). Then
    bases are taken of the outputs of the layers, ranks are chosen by energy per
    parameter (`allocate`), and the layers are fitted one after the other
    (`convert(basis="regression")`), folded, and judged on `validation`. All of it is
    done on at most 1,000 training images. Nothing is trained and no label of `train` is
    used, unless there is a `recipe`: then the scales of the best network are trained by
    it (`sparsify`), with a guard on the validation accuracy. The given model is not
    changed. Time is that of seven times three conversions, plus `recipe.epochs`
    training epochs.

    Args:
        model: A trained Functional or Sequential classifier with softmax outputs.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: A pair of the same kind, on which the budget is judged.
        max_drop: Float, how much accuracy may be lost on `validation`.
        recipe: A `Recipe` for training the scales; its `max_drop`, `baseline` and
            `round_to` are set here. Defaults to no training.
        l1: Float, strength of the L1 regularization of the scales in training.
        round_to: Ranks are multiples of this where they can be.
        verbose: As in `keras.Model.fit`.
        methods: What is removed: `"channels"`, `"bases"` or, for double pruning, both.
        compensation: Boolean, whether kernels are corrected when channels have left.

    Returns:
        A `CompressionResult`.

    Raises:
        ValueError: If the model can't be decomposed, or the data do not fit it.

    Example:

    >>> result = keras_basisprune.compress(model, (x, y), (x_val, y_val))
    >>> print(result.report)
    >>> result.model.save("small.keras")
    """
    check_data("train", model, train)
    check_data("validation", model, validation)
    _check_methods(methods, recipe)
    baseline = accuracy(model, validation)
    ways = _Ways(tuple(methods), compensation, l1, round_to)
    search = _Search(model, train[0], validation, ways)
    best, history = search.run(baseline - max_drop, verbose), {}
    if best and recipe:
        recipe = dataclasses.replace(
            recipe, max_drop=max_drop, baseline=baseline, round_to=round_to
        )
        best, history = best.trained(train, validation, recipe, verbose)
    if best is None:
        warnings.warn(_unmet(max_drop, baseline, *search.trials[-1]), stacklevel=2)
    result = best or _Trial(Plan(), model, fold(model), baseline)
    report = compare(
        model, result.model, accuracy_on_validation=(baseline, result.accuracy)
    )
    trials, met = tuple(search.trials), best is not None
    return CompressionResult(result.model, result.plan, trials, history, report, met)


def _check_methods(methods, recipe):
    if not methods or not set(methods) <= {"channels", "bases"}:
        raise ValueError(
            "Expected `methods` to name 'channels', 'bases' or both, in a list. "
            f"Received: methods={methods}. Leave it out for both."
        )
    if recipe and "bases" not in methods:
        raise ValueError(
            "Expected 'bases' among `methods` together with `recipe`, by which their "
            f"scales are trained. Received: methods={methods}."
        )


@dataclasses.dataclass(frozen=True)
class _Ways:
    """How a share is reached."""

    methods: tuple[str, ...]
    compensation: bool
    l1: float
    round_to: int


def _unmet(max_drop, baseline, keep, reached) -> str:
    """What is said when the smallest share that was tried is not accurate enough."""
    return (
        f"The budget of max_drop={max_drop} could not be met: even with {keep:.0%} of "
        f"the parameters, the accuracy falls from {baseline:.4f} to {reached:.4f}. The "
        "original model is returned, folded. Allow a larger drop, or train the scales "
        "(`sparsify`)."
    )


@dataclasses.dataclass(frozen=True)
class _Trial:
    """A network that was tried."""

    plan: Plan
    converted: keras.Model
    model: keras.Model
    accuracy: float

    def trained(self, train, validation, recipe, verbose):
        """It after training, or as it was if that is too bad, and the logs."""
        history = sparsify(
            self.converted, train, validation, recipe, (), verbose
        ).history
        after = self._after_training(validation)
        enough = after.accuracy >= recipe.baseline - recipe.max_drop
        return after if enough else self, history

    def _after_training(self, validation):
        """The same with what training and masks have made of it."""
        masks = Plan.from_masks(self.converted).bases
        kept = {}
        for name, bases in self.plan.bases.items():
            indices = [bases.indices[i] for i in masks[name].indices]
            kept[name] = dataclasses.replace(bases, indices=tuple(indices))
        small = fold(prune(self.converted))
        plan = dataclasses.replace(self.plan, bases=kept)
        return _Trial(plan, self.converted, small, accuracy(small, validation))


class _Search:
    """Looks for the smallest share of parameters that is accurate enough."""

    def __init__(self, model, images, validation, ways):
        if len(images) > _IMAGES:
            order = np.random.default_rng(0).permutation(len(images))
            images = images[np.sort(order[:_IMAGES])]
        self._model, self._images, self._validation = model, images, validation
        self._ways = ways
        self.trials: list[tuple[float, float]] = []

    def run(self, least, verbose):
        """The smallest `_Trial` with an accuracy of at least `least`, or `None`."""
        bar = keras.utils.Progbar(
            _TRIALS,
            verbose=1 if verbose else 0,
            stateful_metrics=["keep", "val_accuracy"],
            unit_name="trial",
        )
        low, high, best = np.log(_LOWEST), 0.0, None
        for _ in range(_TRIALS):
            keep = float(np.exp((low + high) / 2))
            trial = self._try(keep)
            self.trials.append((keep, trial.accuracy))
            bar.add(1, [("keep", keep), ("val_accuracy", trial.accuracy)])
            if trial.accuracy >= least:
                best, high = trial, np.log(keep)
            else:
                low = np.log(keep)
        return best

    def _try(self, keep) -> _Trial:
        ways, slim, channels = self._ways, self._model, {}
        if "channels" in ways.methods:
            first = keep ** (1 / 3) if "bases" in ways.methods else keep
            slim, channels = self._slim(first)
            keep = keep / first if channels else keep
        if "bases" in ways.methods:
            whole = self._whole
            if channels or whole is None:
                whole = convert(slim, data=self._images, verbose=0)
            plan = allocate(whole, keep, round_to=ways.round_to)
            converted = convert(
                slim, plan, "regression", ways.l1, data=self._images, verbose=0
            )
            small = fold(converted)
        else:
            plan, converted, small = Plan(), None, fold(slim)
        reached = accuracy(small, self._validation)
        if not (channels or "bases" in ways.methods):
            reached = float("nan")  # so many channels can't leave
        plan = Plan(bases=plan.bases, channels=channels)
        return _Trial(plan, converted, small, reached)

    @functools.cached_property
    def _whole(self):
        return convert(self._model, data=self._images, verbose=0)

    @functools.cached_property
    def _scores(self):
        return compensated(self._model, self._images)

    def _slim(self, keep):
        """The model without the channels that leave, and those that are kept.

        The model as it is if its channels can't leave down to such a share.
        """
        limits = ChannelLimits(round_to=self._ways.round_to)
        try:
            plan = select_channels(
                self._model, self._scores, keep, "params", "local", limits=limits
            )
        except ValueError:
            return self._model, {}
        if self._ways.compensation:
            slim = compensate(self._model, plan, self._images, verbose=0)
        else:
            slim = prune(self._model, plan)
        return slim, plan.channels
