"""Turns names and configs into Keras objects."""

from keras_basisprune.utils.shown import shown


def deserialized(argument, get, value):
    """Returns the Keras object for an argument, or raises `ValueError`."""
    try:
        return get(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected `{argument}` to be what Keras accepts: a name, an object "
            f"or None. Received: {argument}={shown(value)} ({error}). Leave it out "
            "for none."
        ) from error
