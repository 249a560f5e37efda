"""Lists of arrays as tuples, which all backends take as several arrays."""


def as_tuples(batch):
    """Returns a batch with tuples in place of lists, at any depth.

    TensorFlow takes a list in a batch for one array, and refuses it.

    Args:
        batch: Arrays in lists, tuples and dicts.

    Example:

    >>> as_tuples(([1, 2], {"a": [3]}))
    ((1, 2), {'a': (3,)})
    """
    if isinstance(batch, list | tuple):
        return tuple(map(as_tuples, batch))
    if isinstance(batch, dict):
        return {name: as_tuples(part) for name, part in batch.items()}
    return batch
