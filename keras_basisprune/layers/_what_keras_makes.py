"""Arguments that Keras turns into objects of its own."""

from keras_basisprune.utils.shown import shown


def what_keras_makes(argument, get, value):
    """What Keras makes of an argument; `ValueError` if it is nothing."""
    try:
        return get(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected `{argument}` to be what Keras takes for it: a name, an object "
            f"or None. Received: {argument}={shown(value)} ({error}). Leave it out "
            "for none."
        ) from error
