"""Arrays that fit a model's inputs, from a caller's data or random."""

import numpy as np

from keras_basisprune.data.sample_batches import sample_batches

_FIRST = 32  # how many samples a check runs on
_LIMIT = 500  # the most samples to read; calibration needs no more
_SEED = 0


def sample_arrays(model, specs, data, argument, limit=_LIMIT):
    """Reads samples from any form of `data`.

    Args:
        model: The model that `specs` belong to.
        specs: The list of `keras.InputSpec` from `input_specs`.
        data: As in `sample_batches`.
        argument: The name of the argument, for messages.
        limit: The most samples to read; later ones are ignored.

    Returns:
        A list with one array per input, of one common length.

    Raises:
        ValueError: If `data` is empty, or a shape does not fit.
    """
    batches, count = [], 0
    for arrays in sample_batches(model, specs, data, argument, limit=limit):
        batches.append([array[: limit - count] for array in arrays])
        count += len(batches[-1][0])
        if count >= limit:
            break
    return [
        np.concatenate(parts).astype(spec.dtype)
        for parts, spec in zip(zip(*batches, strict=True), specs, strict=True)
    ]


def check_samples(model, specs, samples=None, data=None):
    """Returns the arrays that an exported file is checked on.

    Args:
        model: The model that is exported.
        specs: Its list of `keras.InputSpec`.
        samples: The caller's samples to check on, or `None`.
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
