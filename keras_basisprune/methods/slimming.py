"""Prepares a model for network slimming: L1 regularization of BatchNormalization."""

import keras

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.released_norm import released_norm
from keras_basisprune.graph.rewrite import NewLayer, clone, rewrite
from keras_basisprune.graph.trace import trace
from keras_basisprune.layers import SlimmingRegularizer
from keras_basisprune.plan import Plan
from keras_basisprune.plans.select_channels import select_channels
from keras_basisprune.scores.channels import bn_scale
from keras_basisprune.surgery import prune
from keras_basisprune.training.fit_classifier import fit_classifier
from keras_basisprune.utils.check_number import check_number

_EPOCHS, _LEARNING_RATE = 10, 1e-3


def slimming(model: keras.Model, *, l1: float) -> keras.Model:
    """Copies a model, and regularizes the factors of its BatchNormalization.

    Every BatchNormalization with factors, on channels some of which may be removed,
    gets an L1 `gamma_regularizer`. Training the copy then drives the factors of
    channels that are not needed towards zero, and
    `keras_basisprune.scores.channels.bn_scale` finds them. When the method has pruned
    the copy, or `fold` has folded it, layers have their former regularizers again:
    what is left is trained on without the penalty. Weights are copied; until it is
    trained, the copy computes the same function. Nested models are flattened; the given
    model is not changed. Layers keep their `trainable` flag: Keras does not regularize
    the factors of a frozen layer.

    Source: Liu, Li, Shen, Huang, Yan, Zhang 2017, *Learning Efficient Convolutional
    Networks through Network Slimming* (arXiv:1708.06519), section 3.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        l1: Float > 0, strength of the regularization. The paper uses 1e-4 to 1e-5.

    Returns:
        A Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If `l1` is not a finite number > 0, the model is subclassed or not
            built, or it has no such BatchNormalization.

    Example:

    >>> slim = keras_basisprune.methods.slimming(model, l1=1e-4)
    >>> slim.compile("sgd", "sparse_categorical_crossentropy")
    >>> slim.fit(x_train, y_train)
    >>> scores = keras_basisprune.scores.channels.bn_scale(slim)
    """
    remedy = "Pass, for example, `l1=1e-4`."
    l1 = check_number("l1", l1, "(0, inf)", "a finite number > 0", remedy)
    traced = trace(model)
    chosen = _chosen(traced)
    if not chosen:
        raise ValueError(
            "Expected `model` to have BatchNormalization with factors "
            "(`scale=True`) on channels that may be removed. Received: "
            f"model={model.name!r}, which has none. Use another criterion, such as "
            "`scores.channels.l1_norm`; `channel_groups(model)` says what is kept."
        )

    def replace(layer, name):
        if id(layer) not in chosen:
            return None
        regularizer = SlimmingRegularizer(l1, layer.gamma_regularizer)
        return [NewLayer(clone(layer, name, gamma_regularizer=regularizer))]

    return rewrite(model, replace, traced)


def slimming_training(
    prepared,
    train,
    *,
    validation=None,
    keep=None,
    cost="flops",
    epochs=None,
    seed=0,
    verbose=0,
):
    """Trains all trainable weights under the regularization, by Adam.

    Args:
        prepared: What `slimming` returned, trained in place.
        train: A pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        keep: Not needed.
        cost: Not needed.
        epochs: Number of epochs. Defaults to 10.
        seed: Integer, to which the global random seed is set.
        verbose: As in `keras.Model.fit`.
    """
    keras.utils.set_random_seed(seed)
    fit_classifier(
        prepared,
        train,
        validation,
        epochs=_EPOCHS if epochs is None else epochs,
        learning_rate=_LEARNING_RATE,
        verbose=verbose,
    )


def slimming_scores(prepared, *, data=None):
    """Scores channels by their factors of BatchNormalization.

    Args:
        prepared: What `slimming` returned, trained.
        data: Not needed.

    Returns:
        An array of scores, see `scores.channels.bn_scale`.
    """
    return bn_scale(prepared)


def slimming_network(prepared, plan, *, data=None):
    """Cuts channels out, and takes the regularization away.

    Args:
        prepared: What `slimming` returned, trained.
        plan: A `Plan` of channels.
        data: Not needed.

    Returns:
        A smaller `keras.Model`.
    """
    return rewrite(prune(prepared, plan), released_norm)


def slimming_plan(
    prepared, *, keep, data=None, cost="flops", scores=None, limits=None
) -> Plan:
    """Chooses the channels with the largest factors of BatchNormalization.

    Args:
        prepared: What `slimming` returned, trained.
        keep: Float in (0, 1], the share of the model's cost to keep.
        data: Not needed.
        cost: `"flops"`, `"params"`, or a `LatencyTable`.
        scores: What `slimming_scores` returned, if that is known already.
        limits: A `Limits`, or `None`.

    Returns:
        A `Plan` of channels.
    """
    return select_channels(
        prepared,
        keep=keep,
        scores=bn_scale(prepared) if scores is None else scores,
        cost=cost,
        limits=limits,
        scope="global",
    )


def _chosen(traced) -> set[int]:
    """Returns the `id`s of the layers to regularize."""
    channels = channel_map(traced)
    chosen = set()
    for call in traced.calls:
        layer = call.op
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale:
            of = channels.of(call.output_tensors[0])
            if of is not None and not channels.pinned.keys() >= set(of.tolist()):
                chosen.add(id(layer))
    return chosen
