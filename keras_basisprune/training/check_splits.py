"""Checks what a classifier is trained and judged on."""

from keras_basisprune.data.check_data import check_data


def check_splits(model, train, validation, max_drop):
    """Raises `ValueError` unless data fit a classifier, and a budget can be judged.

    Args:
        model: A classifier.
        train: What should be a pair `(x, y)` of arrays, `y` integer labels.
        validation: The same, or `None`.
        max_drop: `config.max_drop`: `validation` is needed, unless it is `None`.

    Returns:
        The pair `(train, validation)`, both of NumPy arrays.
    """
    train = check_data("train", model, train)
    if validation is not None:
        return train, check_data("validation", model, validation)
    if max_drop is not None:
        raise ValueError(
            "Expected `validation` when `config.max_drop` is given. Received: "
            f"validation=None, max_drop={max_drop}. Pass a pair (x, y)."
        )
    return train, None
