"""Checks that a model is a classifier."""

import keras

from keras_basisprune.graph.trace import check_model, is_from_keras, trace

_STEPS = (
    "For any other task use `compress`; or go step by step: `convert` with `keep` and "
    "`data`; or `select_channels`, `compensate`; then `fold` (docs/steps.md)."
)


def check_classifier(argument, model):
    """Raises `ValueError` unless a model has the inputs and outputs of a classifier.

    That is one input, and one output of shape `(batch, classes)` for two or more
    classes, in a built Functional or Sequential `keras.Model`.

    Args:
        argument: Name of the argument, for the message.
        model: Anything.

    Raises:
        ValueError: If it is not such a model.
    """
    check_model(argument, model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"Expected `{argument}` to have one input and one output. Received: "
            f"{len(model.inputs)} inputs and {len(model.outputs)} outputs. Take the "
            f"part that classifies, by `keras.Model(inputs, outputs)`. {_STEPS}"
        )
    shape = model.outputs[0].shape
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            f"Expected `{argument}` to have outputs of shape (batch, classes), of two "
            f"classes or more. Received: outputs of shape {tuple(shape)}. "
            f"{_remedy(model, shape)}"
        )


def _remedy(model, shape) -> str:
    """Says what to do with a model of another task."""
    if len(shape) != 2:
        task = "It has outputs per position of its input (a segmentation, a sequence?)"
    elif shape[-1] == 1 and _is_sigmoid(model):
        return (
            "A sigmoid for two classes becomes a classifier of both, with the same "
            "weights, by `y = model.output` and `keras.Model(model.input, "
            "keras.layers.Concatenate()([1 - y, y]))`."
        )
    else:
        task = "It outputs numbers (a regression?)"
    return f"{task}, but only answers that are right or wrong can be judged. {_STEPS}"


def _is_sigmoid(model) -> bool:
    read = trace(model)
    last = read.producers().get(id(keras.tree.flatten(read.outputs)[0]))
    op = last and last.op
    named = type(op).__name__ == "Sigmoid" and is_from_keras(type(op))  # `keras.ops`
    return named or getattr(op, "activation", None) is keras.activations.sigmoid
