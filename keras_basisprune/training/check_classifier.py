"""What a model must be before it is judged as a classifier."""

from keras_basisprune.trace import check_model


def check_classifier(argument, model):
    """Raises `ValueError` unless a model has one input and gives probabilities a place.

    Args:
        argument: Name of the argument, for the message.
        model: What should be a built Functional or Sequential `keras.Model` with one
            input, and one output of shape `(batch, classes)` for two or more classes.

    Raises:
        ValueError: If it is not.
    """
    check_model(argument, model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"Expected `{argument}` to have one input and one output. Received: "
            f"{len(model.inputs)} inputs and {len(model.outputs)} outputs. Take the "
            "part that classifies, by `keras.Model(inputs, outputs)`; `convert`, "
            "`prune` and `compensate` work on any number."
        )
    shape = model.outputs[0].shape
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            f"Expected `{argument}` to have outputs of shape (batch, classes), of two "
            f"classes or more. Received: outputs of shape {tuple(shape)}. For two "
            "classes, end it in `keras.layers.Dense(2, activation='softmax')` instead "
            "of one sigmoid."
        )
