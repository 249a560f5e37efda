"""Train channel gates until a model costs what it may."""

import contextlib

import keras

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.shares import check_shares
from keras_basisprune.data.check_data import check_data
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.running import fit
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.layers import ChannelGate, TrainedMask
from keras_basisprune.training._gate_adam import GateAdam
from keras_basisprune.training._gate_pressure import GatePressure
from keras_basisprune.training._gated_model import GatedModel
from keras_basisprune.training.check_classifier import check_classifier
from keras_basisprune.training.gate_options import GateOptions
from keras_basisprune.training.quick_statistics import quick_statistics
from keras_basisprune.training.seeds import set_global_seed, set_seeds
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data, Verbose


def train_gates(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    *,
    keep: float,
    cost: str = "flops",
    config: GateOptions | None = None,
    seed: int = 0,
    verbose: Verbose = 0,
) -> keras.callbacks.History:
    """Trains the gates of a classifier, with its weights or alone.

    The loss is cross-entropy plus a penalty on the expected cost of the model
    (`measure.expected_cost.ExpectedCost`), which is annealed: the target falls from the
    whole cost to `keep` of it, and the penalty's factor rises while the cost is above
    it. In the last part of the steps gates have settled, the cost is at most `keep`,
    and only weights train. Gates that are open then are the answer: `Plan.from_masks`.

    The model is trained in place. The same seed, weights and data give the same gates
    again on the same machine.

    Source: Colombo, Gao 2021, *Differentiable Architecture Pruning for Transfer
    Learning* (arXiv:2107.03375).

    Args:
        model: A Functional classifier with softmax outputs and `layers.ChannelGate`s,
            as `methods.channel_gates` makes it.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        keep: Float in (0, 1], the share of the model's cost that is left.
        cost: `"flops"` or `"params"`, what `keep` is a share of.
        config: A `GateOptions`; defaults to `GateOptions()`.
        seed: Integer, for which the global random state is set
            (`keras.utils.set_random_seed`).
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`. Its `cost_shares` has the share of the
        cost in each step until gates have settled, and from there on as the last.

    Raises:
        ValueError: If an argument is out of its range, the model is no classifier with
            gates, or the data do not fit it. Nothing is trained then.

    Example:

    >>> gated = keras_basisprune.methods.channel_gates(model)
    >>> keras_basisprune.training.train_gates(gated, (x, y), keep=0.25)
    >>> small = keras_basisprune.fold(keras_basisprune.prune(gated))
    """
    config = check_record("config", config, GateOptions)
    keep = check_number(
        *("keep", keep, "(0, 1]", "a float in (0, 1], the share of the cost to keep"),
        "0.25 removes three quarters.",
    )
    check_choice("cost", cost, ("flops", "params"))
    seed = check_whole("seed", seed, 0)
    check_verbose(verbose)
    check_model("model", model)
    check_classifier("model", model)
    check_finite_weights(model)
    if not any(_has_gates(call.op) for call in trace(model).calls):
        raise ValueError(
            "Expected `model` to have ChannelGate layers. Received: "
            f"model={model.name!r}, which has none. Pass "
            "`keras_basisprune.methods.channel_gates(model)`."
        )
    check_shares("config.batch_size", config.batch_size, fixed_batch(model))
    train = check_data("train", model, train)
    if validation is not None:
        validation = check_data("validation", model, validation)
    return _fit(model, train, validation, keep, cost, config, seed, verbose)


def _fit(model, train, validation, keep, cost, config, seed, verbose):
    fixed = fixed_batch(model)
    size = fixed or config.batch_size
    train = [fill_up(array, fixed) for array in train]
    if validation is not None:
        validation = tuple(fill_up(array, fixed) for array in validation)
    steps = config.epochs * -(-len(train[0]) // size)
    set_global_seed(seed)
    set_seeds(model, seed)
    gated = GatedModel(model, cost)
    decay = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    logits = [gate.scale for gate in gated.budget.gates()]
    optimizer = GateAdam(decay, logits, config.travel / steps)
    ramp, settle = (max(1, round(x * steps)) for x in (config.ramp, config.settled))
    pressure = GatePressure(keep, ramp, settle, config.noise, seed)
    gated.pressure.assign(config.pressure)
    with quick_statistics(model, config.momentum), _trained(model, config.weights):
        loss = "sparse_categorical_crossentropy"
        gated.compile(optimizer, loss, metrics=["accuracy"])
        optimizer.build(gated.trainable_variables)
        history = fit(
            gated,
            *train,
            validation_data=validation,
            epochs=config.epochs,
            batch_size=size,
            callbacks=[pressure],
            verbose=verbose,
        )
    history.cost_shares = pressure.shares
    return history


@contextlib.contextmanager
def _trained(model, weights):
    """Has gates train, and all else only if `weights`, for a while."""
    layers = [call.op for call in trace(model).calls]
    layers = [layer for layer in layers if isinstance(layer, keras.layers.Layer)]
    flags = {id(layer): (layer, layer.trainable) for layer in layers}
    try:
        for layer in layers:
            layer.trainable = _has_gates(layer) or (weights and layer.trainable)
        yield
    finally:
        for layer, flag in flags.values():
            layer.trainable = flag


def _has_gates(op) -> bool:
    masks = op.parts() if isinstance(op, TrainedMask) else ()
    return any(isinstance(mask, ChannelGate) for mask in masks)
