"""A copy of a network that computes in another precision."""

import keras


def in_dtype(model, dtype):
    """Returns a copy in a dtype or policy such as `"mixed_bfloat16"`.

    Weights are copied, and belong back into the model (`set_weights`) after training.
    """

    def cloned(layer):
        changed = {"dtype": dtype} if isinstance(layer, keras.layers.Layer) else {}
        return type(layer).from_config(layer.get_config() | changed)

    copy = keras.models.clone_model(model, clone_function=cloned)
    copy.set_weights(model.get_weights())
    for before, after in zip(model.layers, copy.layers, strict=True):
        if isinstance(before, keras.layers.Layer):
            after.trainable = before.trainable
    return copy
