"""A trained `tf_keras` model in the structure of the model that it came from."""

import keras

from keras_basisprune.export.tfmot.from_tf_keras import from_tf_keras
from keras_basisprune.graph.flat_names import flat_names
from keras_basisprune.graph.trace import trace


def restored(model, trained) -> keras.Model:
    """Returns a trained model in Keras 3, with the inputs and outputs of another.

    Args:
        model: The Keras 3 model that was crossed.
        trained: The `tf_keras` model, with flat inputs and outputs, without wrappers.
    """
    new = from_tf_keras(trained)
    traced = trace(model)
    names = flat_names(traced)
    for op in {id(call.op): call.op for call in traced.calls}.values():
        if isinstance(op, keras.layers.BatchNormalization):
            new.get_layer(names[id(op)]).momentum = op.momentum
    if isinstance(model, keras.Sequential):
        return new
    pack = keras.tree.pack_sequence_as
    return keras.Model(
        pack(model.input, new.inputs), pack(model.output, new.outputs), name=model.name
    )
