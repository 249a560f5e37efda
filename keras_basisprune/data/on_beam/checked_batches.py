"""Batches that a worker has checked."""

from keras_basisprune.data.sample_batches import sample_batches


def checked_batches(model, batches):
    """Yields batches that fit the inputs of a model.

    Args:
        model: A `keras.Model`.
        batches: An iterable of lists of arrays, one per input.

    Raises:
        ValueError: If a shape does not fit, or a value is not finite.
    """
    for arrays in batches:
        yield from sample_batches(model, None, arrays, "source")
