"""What is to be known of a method, in one record."""

import dataclasses
from collections.abc import Callable

import keras

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.plan import Plan
from keras_basisprune.surgery import prune
from keras_basisprune.utils.shown import shown

_NEEDS = ("data", "labels", "training")
_REMOVES = ("bases", "channels")


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
    >>> ...  # train it, if "training" is in `method.needs`
    >>> plan = method.plan(prepared, keep=0.5, data=images)
    >>> small = keras_basisprune.fold(method.carry_out(prepared, plan, data=images))

    Attributes:
        name: The name by which it is chosen.
        title: What it is called, in a few words.
        source: Authors, title, arXiv number and section.
        needs: Some of `"data"` (unlabelled samples), `"labels"` and `"training"`.
        removes: Some of `"bases"` and `"channels"`: the parts of its plans.
        plan: `plan(prepared, *, keep, data, cost)` returns a `Plan` of what is kept;
            `keep` is a share of the model's `cost`, `"flops"` or `"params"`. Methods
            whose masks are the answer (`layers.TrainedMask`) return
            `Plan.from_masks(prepared)` if `keep` is `None`.
        prepare: `prepare(model, *, data, l1)` returns a new model that computes the
            same function, with what is trained or weighed in it. Defaults to `flatten`.
        train: `train(prepared, train, *, validation=None, keep=None, cost="flops",
            epochs=None, seed=0, verbose=0)` trains in place what `prepare` returned,
            on a pair `(x, y)` of arrays with integer labels. `None`, the default, for
            methods without training.
        train_each: Whether training depends on `keep`, so that each share takes a
            training of its own. Else the model is trained once, with `keep=None`.
        carry_out: `carry_out(prepared, plan, *, data)` returns the smaller model.
            Defaults to `prune`.
        split: How much of a cut channels take when `compress` uses the method: they
            leave down to `keep ** split`, and bases are cut down to the rest. `None`
            for methods that `compress` has no use for.
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
    carry_out: Callable[..., keras.Model] = _pruned
    split: float | None = None
    alias: str = ""

    def __post_init__(self):
        for field in ("name", "title", "source"):
            value = getattr(self, field)
            if not (isinstance(value, str) and value):
                raise ValueError(
                    f"Expected `{field}` to be a text that is not empty. Received: "
                    f"{field}={shown(value)}. Say what the method is, and where it is "
                    "published."
                )
        for field, known in (("needs", _NEEDS), ("removes", _REMOVES)):
            value = getattr(self, field)
            if not (isinstance(value, tuple) and set(value) <= set(known)):
                raise ValueError(
                    f"Expected `{field}` to be a tuple of some of {known}. Received: "
                    f"{field}={shown(value)}. Leave out what the method does without."
                )
        for field in ("plan", "prepare", "carry_out"):
            value = getattr(self, field)
            if not callable(value):
                raise ValueError(
                    f"Expected `{field}` to be a function. Received: "
                    f"{field}={shown(value)}. See `keras_basisprune.methods.Method`."
                )
