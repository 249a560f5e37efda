"""Checks that a model answers for the classes of --data."""

from keras_basisprune.training.check_classifier import check_classifier


def check_answers(model, classes=2):
    """Raises unless a model answers for classes, or by one number for two of them.

    Args:
        model: The `keras.Model`.
        classes: Integer, the number of classes of the data, if that is known.

    Raises:
        ValueError: If it has other outputs.
    """
    outputs = getattr(model, "outputs", None) or []
    if [tuple(tensor.shape[1:]) for tensor in outputs] != [(1,)]:
        check_classifier("--model", model)
    elif classes != 2:
        raise ValueError(
            "Expected --data to hold two classes for a model whose output is a single "
            f"number. Received: {classes} classes. Choose other data, or give the "
            "model an output for each class."
        )
