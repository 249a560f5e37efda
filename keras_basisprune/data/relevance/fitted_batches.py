"""Batches of one size from a stream, of images that fit a model."""

import numpy as np

from keras_basisprune.data.readers.fit_image import fit_image


def fitted_batches(pairs, batch_size, shape=None, image_size=None):
    """Regroups what a stream reads; only the last batch may be smaller.

    Args:
        pairs: What a stream's `read` yields: arrays, one per input, and names. Names
            are left out.
        batch_size: Integer, samples at a time.
        shape: Shape `(height, width, channels)` that images are brought to; `None` for
            other inputs.
        image_size: `(height, width)` that images are brought to first, or `None`.

    Yields:
        Lists of arrays, one per input.
    """
    waiting, count = [], 0
    for arrays, _ in pairs:
        waiting.append(
            arrays if shape is None else [_fitted(arrays[0], shape, image_size)]
        )
        count += len(arrays[0])
        if count >= batch_size:
            whole = _joined(waiting)
            stop = count - count % batch_size
            for start in range(0, stop, batch_size):
                yield [a[start : start + batch_size] for a in whole]
            waiting, count = [[a[stop:] for a in whole]], count - stop
    if count:
        yield _joined(waiting)


def _fitted(images, shape, image_size):
    """Returns images of the shape that the model gets."""
    if image_size is None and images.shape[1:] == shape:
        return images.astype(np.float32, copy=False)
    return np.stack([_fitted_image(image, shape, image_size) for image in images])


def _fitted_image(image, shape, image_size):
    *size, channels = shape
    try:
        if image_size is not None:
            image = fit_image(image, tuple(image_size), channels)
        return fit_image(image, tuple(size), channels)
    except ValueError as error:
        raise ValueError(
            f"Expected images that can be brought to {channels} channels, as the "
            f"encoder takes them. Received: an image of shape {image.shape}. Pass "
            "grey or RGB images, channels last."
        ) from error


def _joined(parts):
    """Joins lists of arrays, one per input."""
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
