"""Finds out whether a model runs only on batches of one size."""

import keras


def fixed_batch(model) -> int | None:
    """Returns the batch size that a model must be run with, or `None` for any size.

    Keras accepts batches of any size, even with `keras.Input(batch_shape=(4, ...))`.
    The size only matters if layers depend on it, for example
    `keras.ops.reshape(x, (4, -1))`, or the states of a stateful recurrent layer. To
    find out, the shapes of another batch are followed through the model, without
    computing anything.

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
    """Yields the batch sizes of the inputs of a model and its nested models."""
    yield from (tensor.shape[0] for tensor in model.inputs if tensor.shape[0])
    for layer in model.layers:
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            yield from _sizes(layer)


def _resized(tensor, size):
    return keras.KerasTensor(
        (size, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name
    )


def _keeps_states(layer) -> bool:
    """Returns whether a layer, or one inside it, keeps states between batches."""
    inner = getattr(layer, "layers", ())
    return bool(getattr(layer, "stateful", False)) or any(map(_keeps_states, inner))
