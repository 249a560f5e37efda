"""Two sets of samples: to fit on, and to judge by."""

import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.samples_at_once import samples_at_once


def split_samples(model, data, fitted, most=None) -> tuple[KeptBatches, KeptBatches]:
    """Divides samples into two sets, spread evenly over their order.

    Args:
        model: A `keras.Model`.
        data: Unlabelled samples, in any form that `sample_batches` reads.
        fitted: Float in (0, 1), the share of the first set.
        most: The most samples of the second set; all others are in the first. `None`
            for the share that is not `fitted`, as for a model that runs only on batches
            of one size.

    Returns:
        Two `KeptBatches`. A model that runs only on batches of one size gets whole
        batches.

    Raises:
        ValueError: If `data` does not fit the model, or has too few samples.
    """
    batches = KeptBatches.of(model, data, samples_at_once(model))
    whole = fixed_batch(model) is not None
    sizes = batches.sizes
    count = len(batches) if whole else sum(sizes)
    if count < 2:
        unit = "batches of the size that the model runs on" if whole else "samples"
        raise ValueError(
            f"Expected `data` to hold two {unit}, to fit on and to judge by. Received: "
            f"{count}. Pass a few hundred samples."
        )
    if most and not whole:
        fitted = max(fitted, 1 - most / count)
    ends = np.ceil(np.arange(count + 1) * fitted - 1e-9)
    first = np.diff(ends) > 0
    first[-1] &= not first.all()
    sizes = [1] * count if whole else sizes
    marks = np.split(first, np.cumsum(sizes)[:-1])
    if whole:
        marks = [
            np.repeat(mine, size)
            for mine, size in zip(marks, batches.sizes, strict=True)
        ]
    parts = batches.taken(marks), batches.taken([~mine for mine in marks])
    if whole:
        return parts
    return tuple(_joined(part, samples_at_once(model)) for part in parts)


def _joined(batches, size):
    """Joins batches of the same shape, of which some samples were taken."""
    found: list = []
    for arrays in batches:
        before = found[-1] if found else ()
        fits = len(before) and len(before[0]) + len(arrays[0]) <= size
        if fits and [a.shape[1:] for a in before] == [a.shape[1:] for a in arrays]:
            found[-1] = list(map(np.concatenate, zip(before, arrays, strict=True)))
        else:
            found.append(arrays)
    return KeptBatches(found)
