"""The architecture that a plan describes, with new weights."""

import contextlib
import random

import keras
import numpy as np

from keras_basisprune.graph.rewrite import clone, rewrite
from keras_basisprune.graph.trace import check_model, trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import TrainedMask
from keras_basisprune.plan import Plan
from keras_basisprune.surgery.prune import prune
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.check_whole import check_whole


def fresh(model: keras.Model, plan: Plan, seed: int = 0) -> keras.Model:
    """Carries out a plan of channels, and draws all weights anew.

    What is left of a network that was pruned is an architecture: the widths of its
    layers. This one is as `prune` makes it, with weights that the layers' own
    initializers draw, ready to be trained from scratch on the same task or another.
    Layers that weigh channels (`layers.TrainedMask`) are left out. All layers are
    trainable. What a `keras.layers.Normalization` has measured is kept, since it is
    of the data. The given model is not changed. Time and memory are those of a copy.

    Source: Colombo, Gao 2021, *Differentiable Architecture Pruning for Transfer
    Learning* (arXiv:2107.03375).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        plan: A `Plan` of channels of this model; an empty one for all of them.
        seed: Integer that the weights follow from, also where initializers have seeds
            of their own. The global random state of Keras' backend is set for it;
            those of Python and NumPy stay as they are.

    Returns:
        A Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the plan does not fit the model (see `prune`), names bases, or
            the model has layers that weigh bases.

    Example:

    >>> plan = keras_basisprune.Plan.from_masks(gated)
    >>> new = keras_basisprune.fresh(gated, plan, seed=1)
    >>> new.compile("adam", "sparse_categorical_crossentropy")
    >>> new.fit(x, y)
    """
    check_model("model", model)
    remedy = "Make one with `select_channels`, or `Plan.from_masks`."
    check_kind("plan", plan, Plan, remedy)
    seed = check_whole("seed", seed, 0)
    weighed = trained_masks(trace(model)).values()
    if plan.bases or any(mask.kind == "bases" for mask in weighed):
        raise ValueError(
            "Expected `plan` and `model` without bases, which are taken from weights. "
            f"Received: model={model.name!r}, with {len(plan.bases)} layers with bases "
            "in the plan. Pass the model before `convert`, and a plan of channels."
        )
    with _own_random_state():
        small = prune(model, plan) if plan.channels else model
        small = rewrite(
            small, lambda layer, name: [] if isinstance(layer, TrainedMask) else None
        )
        keras.utils.set_random_seed(seed)
        new = keras.models.clone_model(small, clone_function=_Renewal())
    for before, after in zip(small.layers, new.layers, strict=True):
        after.trainable = True
        if hasattr(before, "adapt"):
            _keep_what_was_measured(before, after)
    return new


class _Renewal:
    """Clones layers from their configs, each once, without seeds of initializers."""

    def __init__(self):
        self._known = {}

    def __call__(self, layer):
        if id(layer) not in self._known:
            config = _without_seeds(layer.get_config())
            changes = {key: x for key, x in config.items() if isinstance(x, dict)}
            self._known[id(layer)] = clone(layer, layer.name, **changes)
        return self._known[id(layer)]


def _without_seeds(config, drawn=False):
    """A config, of layers inside too, whose initializers have no seeds."""
    if not isinstance(config, dict):
        return config
    return {
        key: None
        if drawn and key == "seed"
        else _without_seeds(value, drawn or str(key).endswith("initializer"))
        for key, value in config.items()
    }


def _keep_what_was_measured(before, after):
    for one, other in zip(before.variables, after.variables, strict=True):
        other.assign(keras.ops.convert_to_numpy(one))
    if hasattr(after, "set_vocabulary"):
        after.set_vocabulary(before.get_vocabulary())
    elif hasattr(after, "finalize_state"):
        after.finalize_state()


@contextlib.contextmanager
def _own_random_state():
    """Puts the global random states of Python and NumPy back in the end."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
