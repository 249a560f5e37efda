"""Targets and weights, sorted by the outputs of a model."""

import keras

from keras_basisprune.utils.check_numeric import check_numeric


def output_names(model) -> list[str]:
    """Returns the names of a model's outputs, as `fit` takes targets by name.

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        A list of strings, in the order of `model.outputs`.
    """
    structure = None if isinstance(model, keras.Sequential) else model.output
    if isinstance(structure, dict):
        return keras.tree.flatten({key: key for key in structure})
    return list(getattr(model, "output_names", None) or ["output"])


def per_output(argument, model, values, what="targets", shared=False):
    """Sorts what belongs to the outputs of a model.

    Args:
        argument: Name of the argument, for the message.
        model: A built Functional or Sequential `keras.Model`.
        values: An array for a model with one output; a list, or a dict by the names of
            outputs, for several. Outputs may be missing from a dict.
        what: What the values are, for the message.
        shared: Whether one array may stand for all outputs.

    Returns:
        A list of NumPy arrays, one per output, `None` for what is missing; `None` for
        no values at all.

    Raises:
        ValueError: If they are not as many as there are outputs.
    """
    if values is None:
        return None
    names = output_names(model)
    other = names if not hasattr(model, "output_names") else list(model.output_names)
    if isinstance(values, dict):
        known = names if set(values) <= set(names) else other
        unknown = sorted(map(str, set(values) - set(known)))
        if unknown:
            raise _misfit(argument, names, f"{what} for {unknown}", what)
        values = [values.get(name) for name in known]
    elif len(names) == 1:
        alone = isinstance(values, list | tuple) and len(values) == 1
        inner = values[0] if alone else None
        values = [inner if getattr(inner, "ndim", 0) else values]
    elif shared and hasattr(values, "shape"):
        values = [values] * len(names)
    if not isinstance(values, list | tuple) or len(values) != len(names):
        count = len(values) if isinstance(values, list | tuple) else "one array"
        raise _misfit(argument, names, f"{count} of {what}", what)
    kind = f"{what} of numbers"
    return [None if v is None else _numbers(argument, v, kind) for v in values]


def _numbers(argument, value, kind):
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        value = keras.ops.convert_to_numpy(value)
    return check_numeric(argument, value, kind)


def _misfit(argument, names, received, what):
    return ValueError(
        f"Expected `{argument}` to hold {what} for each output of the model: "
        f"{names}. Received: {received}. Pass a list in this order, or a dict by name."
    )
