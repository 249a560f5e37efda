"""Arrays that fit a model's inputs, from whatever a caller passed, or at random."""

import keras
import numpy as np

_FIRST = 32  # how many samples a check runs on
_LIMIT = 500  # how many samples are read at most; calibration needs no more
_SEED = 0


def sample_arrays(model, specs, data, argument, limit=_LIMIT):
    """Reads samples from whatever form of `data` a caller passed.

    Args:
        model: The model that `specs` belong to.
        specs: The list of `keras.InputSpec` from `input_specs`.
        data: One array for a model with one input; a list, tuple or dict (by input
            name) of arrays for several; or an iterable (a `tf.data.Dataset`, say) of
            such batches, of `(inputs, targets)` tuples, or of single samples.
        argument: The name of the argument, for messages.
        limit: The largest number of samples to read; later ones are not looked at.

    Returns:
        A list with one array per input, of one common length.

    Raises:
        ValueError: If there is no sample, or a shape does not fit.
    """
    batch = _as_batch(model, specs, data)
    elements = data if batch is None and hasattr(data, "__iter__") else [data]
    batches, count = [], 0
    for element in elements:
        if batch is None:
            element = keras.utils.unpack_x_y_sample_weight(element)[0]
        arrays = _as_batch(model, specs, element)
        _check_batch(specs, arrays, element, argument)
        batches.append([array[: limit - count] for array in arrays])
        count += len(batches[-1][0])
        if count >= limit:
            break
    if not count:
        raise ValueError(
            f"Expected `{argument}` to hold at least one sample. Received: {argument}="
            f"{_describe(data)}. Pass arrays of the shapes {_wanted(specs)}."
        )
    return [
        np.concatenate(parts).astype(spec.dtype)
        for parts, spec in zip(zip(*batches, strict=True), specs, strict=True)
    ]


def check_samples(model, specs, samples=None, data=None):
    """Returns the arrays that an exported file is checked on.

    Args:
        model: The model that is exported.
        specs: Its list of `keras.InputSpec`.
        samples: What the caller wants to check on, or `None`.
        data: Representative samples as `sample_arrays` returned them, or `None`;
            the first 32 of them are taken if `samples` is `None`.

    Returns:
        A list with one array per input. Without `samples` and `data`: 32 samples of
        seeded standard normal values (0 to 255 for `uint8`, 0 or 1 for other
        integers).
    """
    if samples is not None:
        return sample_arrays(model, specs, samples, "samples")
    if data is not None:
        return [array[:_FIRST] for array in data]
    for spec in specs:
        if None in spec.shape[1:]:
            raise ValueError(
                "Expected `samples` for a model whose input has open dimensions. "
                f"Received: samples=None for the input {spec.name!r} of shape "
                f"{spec.shape}. Pass an array of samples of the size to check."
            )
    rng = np.random.default_rng(_SEED)
    return [random_array(spec, _FIRST, rng) for spec in specs]


def random_array(spec, count, rng):
    """Returns `count` random samples that fit `spec`."""
    shape = (count, *spec.shape[1:])
    dtype = str(spec.dtype)
    if dtype == "string":
        raise ValueError(
            "Expected `samples` for a model with text inputs. Received: samples=None "
            f"for the input {spec.name!r}. Pass an array of sample texts."
        )
    if "float" in dtype:
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 256 if dtype == "uint8" else 2, shape).astype(dtype)


def _as_batch(model, specs, data):
    """Returns `data` as a list of batches, one per input, or `None` if it is none."""
    if isinstance(data, dict):
        names = [tensor.name for tensor in model.inputs]
        if set(data) != set(names):
            names = list(model.input) if isinstance(model.input, dict) else names
            names = sorted(names) if set(data) == set(names) else []
        data = [data[name] for name in names] or None
    elif hasattr(data, "shape") and hasattr(data, "dtype"):
        data = [data]
    if not isinstance(data, (list, tuple)) or len(data) != len(specs):
        return None
    if not all(hasattr(array, "shape") for array in data):
        return None
    arrays = [keras.ops.convert_to_numpy(array) for array in data]
    return [
        array[None] if array.ndim == len(spec.shape) - 1 else array
        for array, spec in zip(arrays, specs, strict=True)
    ]


def _check_batch(specs, batch, data, argument):
    """Raises a `ValueError` unless `batch` fits `specs`."""
    fits = batch is not None and all(
        array.ndim == len(spec.shape)
        and len(array) == len(batch[0])
        and all(
            size in (None, got)
            for size, got in zip(spec.shape[1:], array.shape[1:], strict=True)
        )
        for array, spec in zip(batch, specs, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Expected `{argument}` to hold arrays of the shapes {_wanted(specs)}. "
            f"Received: {argument}={_describe(data)}. Pass an array, a list or dict "
            "of arrays for several inputs, or an iterable of batches."
        )
    for array, spec in zip(batch, specs, strict=True):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"Expected `{argument}` to hold finite numbers. Received: NaN or "
                f"infinity for the input {spec.name!r}. Remove these samples."
            )


def _wanted(specs):
    """Returns the shapes of a batch for messages."""
    return {spec.name: (None, *spec.shape[1:]) for spec in specs}


def _describe(data):
    """Returns a short description of `data` for messages."""
    shapes = keras.tree.map_structure(
        lambda leaf: tuple(leaf.shape) if hasattr(leaf, "shape") else type(leaf), data
    )
    return str(shapes)[:200]
