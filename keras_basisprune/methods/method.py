"""What is to be known of a method, in one record."""

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
    """The model as it is, flat: nothing has to be prepared."""
    return flatten(model)


def _pruned(model, plan, data=None):
    """What `prune` makes of it."""
    return prune(model, plan)


@dataclasses.dataclass(frozen=True)
class Method:
    """One method to make networks smaller: a row of `METHODS`.

    All methods are used alike:

    >>> prepared = method.prepare(model, data=images, l1=1e-4)
    >>> if method.train:
    ...     method.train(prepared, (x, y), keep=0.5)
    >>> plan = method.plan(prepared, keep=0.5, data=images)
    >>> small = keras_basisprune.fold(method.carry_out(prepared, plan, data=images))

    `compress(methods=[...])` knows of a method what stands here, and no more.

    Attributes:
        name: The name by which it is chosen.
        title: What it is called, in a few words.
        source: Authors, title, arXiv number and section.
        needs: Some of `"data"` (unlabelled samples), `"labels"` and `"training"`.
        removes: Some of `"bases"` and `"channels"`: the parts of its plans.
        plan: `plan(prepared, *, keep, data, cost, scores=None, limits=None)` returns a
            `Plan` of what is kept; `keep` is a share of the model's `cost`: `"flops"`,
            `"params"`, or a `LatencyTable`. `scores` is what `scores` returned, if that
            is at hand; `limits` as in `select_channels`. Methods whose masks are the
            answer (`layers.TrainedMask`) return `Plan.from_masks(prepared)` if `keep`
            is `None`.
        prepare: `prepare(model, *, data, l1)` returns a new model that computes the
            same function, with what is trained or weighed in it. Defaults to `flatten`.
        train: `train(prepared, train, *, validation=None, keep=None, cost="flops",
            epochs=None, seed=0, verbose=0)` trains in place what `prepare` returned,
            on a pair `(x, y)` of arrays with integer labels. `None`, the default, for
            methods without training.
        train_each: Whether training depends on `keep`, so that each share takes a
            training of its own. Else the model is trained once, with `keep=None`.
        scores: `scores(prepared, *, data)` returns what does not depend on `keep`, in
            any form, for `plan`. `None`, the default, where there is no such thing.
        carry_out: `carry_out(prepared, plan, *, data)` returns the smaller model.
            Defaults to `prune`.
        plan_and_carry_out: Both in one, for methods whose plan takes the smaller model
            to make: `plan_and_carry_out(prepared, *, keep, data, cost, scores,
            limits)` returns the pair. `None`, the default: one after the other.
        compensates: Whether kernels are corrected when channels leave, unless
            `carry_out` and `plan_and_carry_out` are told `compensation=False`.
        combines: Names of other rows, all of whose parts it removes: where they are
            chosen together, `compress` tries it as well; and where only one of them can
            remove something, that one in its place.
        split: How much of a cut channels take, for the report: they leave down to
            `keep ** split`, and bases are cut down to the rest. `None` for methods that
            divide no cut so, whose name is shown.
        alias: Another name by which `compress` knows it.

    Raises:
        ValueError: If a field is not of its kind.
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
    split: float | None = None
    alias: str = ""

    @property
    def prepares(self) -> bool:
        """Whether what it works on is more than the model, flat."""
        return self.prepare is not _flat

    def __post_init__(self):
        self._check_texts()
        self._check_functions()
        for field, known in (("needs", _NEEDS), ("removes", _REMOVES)):
            value, least = getattr(self, field), int(field == "removes")
            fits = isinstance(value, tuple) and all(part in known for part in value)
            if not (fits and len(value) >= least):
                raise ValueError(
                    f"Expected `{field}` to be a tuple of some of {known}. Received: "
                    f"{field}={shown(value)}. Leave out what the method does without."
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
                    f"underscores. Received: {field}={shown(value)}. Files and flags "
                    "bear it, as in 'network_slimming'."
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
