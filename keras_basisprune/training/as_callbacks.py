"""Callbacks in any form that Keras accepts."""

import keras

from keras_basisprune.utils.shown import shown


def as_callbacks(callbacks) -> list:
    """Returns callbacks as a list.

    Args:
        callbacks: A `keras.callbacks.Callback`, a list (or other structure) of them, or
            `None`, as `keras.Model.fit` accepts them.

    Returns:
        A list of `keras.callbacks.Callback`.

    Raises:
        ValueError: If one of them is something else.
    """
    found = [] if callbacks is None else keras.tree.flatten(callbacks)
    for callback in found:
        if not isinstance(callback, keras.callbacks.Callback):
            hint = ", made by calling it" if isinstance(callback, type) else ""
            raise ValueError(
                "Expected `callbacks` to be a `keras.callbacks.Callback` or a list of "
                f"them. Received: callbacks with {shown(callback)}. Pass an object of "
                f"such a class{hint}."
            )
    return found
