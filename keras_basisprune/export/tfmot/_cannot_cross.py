"""The error of a layer that one of the two Keras versions lacks."""

_REMEDY = "Replace it by layers of Keras that both versions have, or leave it out"


def cannot_cross(model_name, name, kind, why, remedy=_REMEDY):
    """Returns the `ValueError` of a layer that can't cross.

    Args:
        model_name: Name of the model.
        name: Name of the layer or operation.
        kind: Its class, or the name of its function.
        why: What is wrong, as the end of a sentence.
        remedy: What to do, without the full stop.
    """
    return ValueError(
        "Expected `model` to hold layers and operations that `keras` and `tf_keras` "
        f"both have. Received: model={model_name!r} with `{name}` (of type {kind}): "
        f"{why}. {remedy}."
    )


class Lacking(Exception):
    """What a layer can't be without, found while it crosses; the text says what."""
