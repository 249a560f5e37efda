"""Prepare, train and prune by a method, again and again."""

import dataclasses

import keras

from keras_basisprune.graph.rewrite import flatten
from keras_basisprune.measure import accuracy
from keras_basisprune.measure import cost as measured_cost
from keras_basisprune.methods.iterations import Iterations
from keras_basisprune.methods.method import Method
from keras_basisprune.plan import Plan
from keras_basisprune.training.check_classifier import check_classifier
from keras_basisprune.training.check_splits import check_splits
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Verbose


@dataclasses.dataclass(frozen=True)
class Iteration:
    """What one iteration of `prune_iteratively` did.

    Attributes:
        plan: The `Plan` that was carried out, of the network before it.
        params: Parameters of the network after it.
        flops: FLOPs of the network after it.
        removed: Share that left in it, of what is counted.
        accuracy: On `validation`, after it; `None` without.
        kept: Whether its network was good enough to go on with.
    """

    plan: Plan
    params: int
    flops: int
    removed: float
    accuracy: float | None
    kept: bool


@dataclasses.dataclass(frozen=True)
class IterationResult:
    """What `prune_iteratively` returns.

    Attributes:
        model: The smaller `keras.Model`, not compiled.
        iterations: A tuple of `Iteration`s, in order.
    """

    model: keras.Model
    iterations: tuple[Iteration, ...]


def prune_iteratively(
    model: keras.Model,
    method: Method,
    train: Data,
    validation: Data = None,
    *,
    config: Iterations | None = None,
    verbose: Verbose = 0,
) -> IterationResult:
    """Prepares a network by a method, trains and prunes it, until little leaves.

    What is masked in training leaves, or all but a share (`config.keep`); what is left
    is prepared anew, with all scales at 1, trained and pruned again. An iteration that
    removes less than `config.least_removed` is the last. The given model is not
    changed. Time is that of training, once per iteration.

    Source: Wong, Kashyap, Moradi 2021, *Channel Scaling: A Scale-and-Select Approach
    for Efficient Transfer Learning* (arXiv:2103.12228), section 2.

    Args:
        model: A classifier with softmax outputs.
        method: A row of `METHODS` that trains (or another `Method`), whose masks are
            the answer.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same; needed for `config.max_drop`.
        config: An `Iterations`; defaults to `Iterations()`.
        verbose: As in `keras.Model.fit`.

    Returns:
        An `IterationResult`.

    Raises:
        ValueError: If an argument is not of its kind, the method does not train, or
            data do not fit the model. Nothing is trained then.

    Example:

    >>> method = keras_basisprune.methods.METHODS["channel_scaling"]
    >>> result = keras_basisprune.methods.prune_iteratively(model, method, (x, y))
    >>> small = keras_basisprune.fold(result.model)
    """
    config = check_record("config", config, Iterations)
    check_verbose(verbose)
    _check_method(method)
    check_classifier("model", model)
    train, validation = check_splits(model, train, validation, config.max_drop)
    model, least = flatten(model), None
    if config.max_drop is not None:
        before = config.baseline
        before = accuracy(model, validation) if before is None else before
        least = before - config.max_drop
    done: list[Iteration] = []
    while len(done) < config.most:
        number = len(done)
        small, made = _once(model, method, train, validation, config, number, verbose)
        kept = least is None or made.accuracy >= least
        done.append(dataclasses.replace(made, kept=kept))
        if kept:
            model = small
        if not kept or made.removed < config.least_removed:
            break
    return IterationResult(model, tuple(done))


def _once(model, method, train, validation, config, number, verbose):
    """One iteration: the network that is left, and what was done."""
    strength = {} if config.l1 is None else {"l1": config.l1}
    prepared = method.prepare(model, data=train[0], **strength)
    method.train(
        prepared,
        train,
        validation=validation,
        keep=config.keep,
        cost=config.cost,
        epochs=config.epochs,
        seed=config.seed + number,
        verbose=verbose,
    )
    plan = method.plan(prepared, keep=config.keep, data=train[0], cost=config.cost)
    small = method.carry_out(prepared, plan, data=train[0])
    before, after = measured_cost(model), measured_cost(small)
    share = 1 - getattr(after, config.cost) / getattr(before, config.cost)
    score = None if validation is None else accuracy(small, validation)
    return small, Iteration(plan, after.params, after.flops, share, score, True)


def _check_method(method):
    if not isinstance(method, Method) or method.train is None:
        raise ValueError(
            "Expected `method` to be a `Method` that trains. Received: "
            f"method={shown(getattr(method, 'name', method))}. Pass one such as "
            "`METHODS['channel_scaling']`."
        )
