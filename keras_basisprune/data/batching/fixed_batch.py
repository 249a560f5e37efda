"""Does a model run on batches of one size only?"""

import keras


def fixed_batch(model) -> int | None:
    """The batch size that a model must be run with, `None` if any will do.

    Keras takes batches of any size, even where `keras.Input(batch_shape=(4, ...))` says
    another. So the size matters only where layers have taken it over: a
    `keras.ops.reshape(x, (4, -1))`, say, or the states of a stateful recurrent layer.
    That is found out by following the shapes of another batch through the model, which
    computes nothing.

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        An integer or `None`.

    Example:

    >>> inputs = keras.Input(batch_shape=(4, 8, 8, 3))
    >>> fixed_batch(keras.Model(inputs, keras.layers.Flatten()(inputs)))
    >>> fixed_batch(keras.Model(inputs, keras.ops.reshape(inputs, (4, -1))))
    4
    """
    sizes = list(_sizes(model)) if getattr(model, "inputs", None) else []
    if not sizes:
        return None
    if _keeps_states(model):
        return sizes[0]
    other = 2 * max(sizes) + 1
    given = [_resized(tensor, other) for tensor in model.inputs]
    if not isinstance(model, keras.Sequential):
        given = keras.tree.pack_sequence_as(model.input, given)
    else:
        given = given[0]
    try:
        found = keras.tree.flatten(model.compute_output_spec(given))
    except Exception:  # whatever an operation raises that can't take this size
        return sizes[0]
    wanted = [_resized(tensor, other) for tensor in model.outputs]
    fits = [a.shape == b.shape for a, b in zip(found, wanted, strict=True)]
    return None if all(fits) else sizes[0]


def _sizes(model):
    """Yields the batch sizes that inputs of a model, or of one inside it, have."""
    yield from (tensor.shape[0] for tensor in model.inputs if tensor.shape[0])
    for layer in model.layers:
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            yield from _sizes(layer)


def _resized(tensor, size):
    return keras.KerasTensor(
        (size, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name
    )


def _keeps_states(layer) -> bool:
    """Whether a layer, or one inside it, remembers the batch before."""
    inner = getattr(layer, "layers", ())
    return bool(getattr(layer, "stateful", False)) or any(map(_keeps_states, inner))
