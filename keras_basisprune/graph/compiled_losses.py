"""The losses that a model was compiled with."""

import keras

from keras_basisprune.data.examples.per_output import output_names


def compiled_losses(model) -> tuple[list, list[float]]:
    """Returns the losses that a model was compiled with.

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        Two lists with one entry per output: the loss, a `keras.losses.Loss` or a
        function (`None` if the model isn't compiled, or has no loss for an output), and
        its weight.
    """
    names = output_names(model)
    other = list(getattr(model, "output_names", None) or names)
    given = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    weights = None
    if given is not None:
        try:
            weights = (model.get_compile_config() or {}).get("loss_weights")
        except Exception:  # a loss of one's own may not be able to tell its config
            weights = None
    losses = _sorted(given, names, other, None)
    factors = _sorted(weights, names, other, 1.0)
    return [loss_of(x) for x in losses], [1.0 if f is None else f for f in factors]


def loss_of(loss):
    """Returns a `keras.losses.Loss` or function for what `compile` takes as a loss."""
    if loss is None or isinstance(loss, keras.losses.Loss):
        return loss
    try:
        return keras.losses.get(loss)
    except (TypeError, ValueError):
        return loss if callable(loss) else None


def loss_name(loss) -> str:
    """Returns the name of a loss, in small letters without underscores."""
    if loss is None:
        return ""
    name = getattr(loss, "__name__", None) or type(loss).__name__
    return name.replace("_", "").lower()


def from_logits(loss) -> bool:
    """Returns whether a loss takes logits."""
    try:
        return bool(loss.get_config().get("from_logits", False))
    except Exception:  # a function, or a loss that can't tell its config
        return False


def _sorted(given, names, other, missing):
    if isinstance(given, dict):
        known = names if set(given) <= set(names) else other
        return [given.get(name, missing) for name in known]
    if isinstance(given, list | tuple) and len(given) == len(names):
        return list(given)
    if given is None or isinstance(given, list | tuple):
        return [missing] * len(names)
    return [given] * len(names)
