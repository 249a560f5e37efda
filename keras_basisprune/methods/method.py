"""The record that describes a method."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.plan import Plan
from keras_basisprune.surgery import prune
from keras_basisprune.utils.check_flag import check_flag
from keras_basisprune.utils.shown import shown

_NEEDS = ("data", "labels", "training")
_REMOVES = ("bases", "channels")
_OPTIONAL = ("train", "scores", "plan_and_carry_out")
_FUNCTIONS = ("plan", "prepare", "carry_out", *_OPTIONAL)


def _flat(model, data=None, l1=0.0):
    """Returns a flat copy of the model: nothing has to be prepared."""
    return flatten(model)


def _pruned(model, plan, data=None):
    """Returns what `prune` makes of the model."""
    return prune(model, plan)


@dataclasses.dataclass(frozen=True)
class Method:
    """A method that makes networks smaller: a row of `METHODS`.

    All methods are used in the same way:

    >>> prepared = method.prepare(model, data=images, l1=1e-4)
    >>> if method.train:
    ...     method.train(prepared, (x, y), keep=0.5)
    >>> plan = method.plan(prepared, keep=0.5, data=images)
    >>> small = keras_basisprune.fold(method.carry_out(prepared, plan, data=images))

    `compress(methods=[...])` uses this record alone.

    Attributes:
        name: The name by which it is chosen.
        title: A title of a few words.
        source: Authors, title, arXiv number and section.
        needs: Some of `"data"` (unlabelled samples), `"labels"` and `"training"`.
        removes: Some of `"bases"` and `"channels"`: the parts of its plans.
        plan: `plan(prepared, *, keep, data, cost, scores=None, limits=None)` returns a
            `Plan` of what is kept; `keep` is a share of the model's `cost`: `"flops"`,
            `"params"`, or a `LatencyTable`. `scores` is what `scores` returned, if that
            is known already; `limits` as in `select_channels`. Methods that train masks
            (`layers.TrainedMask`) return `Plan.from_masks(prepared)` if `keep` is
            `None`.
        prepare: `prepare(model, *, data, l1)` returns a new model that computes the
            same function, with trainable scales and masks in it. Defaults to `flatten`.
        train: `train(prepared, train, *, validation=None, keep=None, cost="flops",
            epochs=None, seed=0, verbose=0)` trains in place what `prepare` returned,
            on a pair `(x, y)` of arrays with integer labels. `None` (default) for
            methods without training.
        train_each: Whether training depends on `keep`, so that the model is trained for
            each share. Otherwise it is trained once, with `keep=None`.
        scores: `scores(prepared, *, data)` returns anything that `plan` needs and that
            does not depend on `keep`. `None` (default) if there is no such thing. What
            a `plans.measured_path.MeasuredPath` measures, a search remembers.
        carry_out: `carry_out(prepared, plan, *, data)` returns the smaller model.
            Defaults to `prune`.
        plan_and_carry_out: Both in one, for methods that need the smaller model to make
            the plan: `plan_and_carry_out(prepared, *, keep, data, cost, scores,
            limits)` returns the pair. `None` (default) calls one after the other.
        compensates: Whether kernels are corrected when channels are removed, unless
            `carry_out` and `plan_and_carry_out` get `compensation=False`.
        combines: Names of other rows whose parts this method removes together. If they
            are all chosen, `compress` tries this method too; if only one of them can
            remove something, it is tried instead of this method.
        split: How much of a cut is made by channels, for the report: they are pruned to
            `keep ** split`, and bases to the rest. A float, or a function of what
            `scores` returned that returns one. `None` for methods that don't split a
            cut; the report then shows the method's name.
        alias: Another name for `compress`.

    Raises:
        ValueError: If a field is of the wrong type, or fields contradict each other.
    """

    name: str
    title: str
    source: str
    needs: tuple[str, ...]
    removes: tuple[str, ...]
    plan: Callable[..., Plan]
    prepare: Callable[..., keras.Model] = _flat
    train: Callable[..., None] | None = None
    train_each: bool = False
    scores: Callable[..., Any] | None = None
    carry_out: Callable[..., keras.Model] = _pruned
    plan_and_carry_out: Callable[..., tuple[Plan, keras.Model]] | None = None
    compensates: bool = False
    combines: tuple[str, ...] = ()
    split: float | Callable | None = None
    alias: str = ""

    @property
    def prepares(self) -> bool:
        """Whether `prepare` does more than copy the model."""
        return self.prepare is not _flat

    @property
    def fits(self) -> bool:
        """Whether `carry_out` may fit what is left to unlabelled samples."""
        return self.carry_out is not _pruned and "data" in self.needs

    def __post_init__(self):
        self._check_texts()
        self._check_functions()
        for field, known in (("needs", _NEEDS), ("removes", _REMOVES)):
            value, shortest = getattr(self, field), int(field == "removes")
            fits = isinstance(value, tuple) and all(part in known for part in value)
            if not (fits and len(value) >= shortest):
                raise ValueError(
                    f"Expected `{field}` to be a tuple of some of {known}. Received: "
                    f"{field}={shown(value)}. Leave out what the method doesn't "
                    f"{'need' if field == 'needs' else 'remove'}."
                )
        for field in ("train_each", "compensates"):
            check_flag(field, getattr(self, field))
        if (self.train is not None) != ("training" in self.needs):
            raise ValueError(
                "Expected `train` if, and only if, `needs` names 'training'. Received: "
                f"train={shown(self.train)}, needs={self.needs}. Pass the function "
                "that trains what `prepare` returns."
            )
        if self.train_each and self.train is None:
            raise ValueError(
                "Expected `train` with `train_each=True`. Received: train=None. Pass "
                "the function that trains what `prepare` returns."
            )

    def _check_texts(self):
        for field in ("name", "title", "source"):
            value = getattr(self, field)
            if not (isinstance(value, str) and value):
                raise ValueError(
                    f"Expected `{field}` to be a text that is not empty. Received: "
                    f"{field}={shown(value)}. Say what the method is, and where it is "
                    "published."
                )
        for field in ("name", "alias"):
            value = getattr(self, field)
            if value != "" and not (isinstance(value, str) and value.isidentifier()):
                raise ValueError(
                    f"Expected `{field}` to be a word of letters, digits and "
                    f"underscores. Received: {field}={shown(value)}. It is used in "
                    "names of files and flags, as in 'network_slimming'."
                )

    def _check_functions(self):
        for field in _FUNCTIONS:
            value, optional = getattr(self, field), field in _OPTIONAL
            if not (callable(value) or (optional and value is None)):
                raise ValueError(
                    f"Expected `{field}` to be a function{' or None' * optional}. "
                    f"Received: {field}={shown(value)}. See "
                    "`keras_basisprune.methods.Method`."
                )
