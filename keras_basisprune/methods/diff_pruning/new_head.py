"""A network with a head for other classes."""

import keras

from keras_basisprune.graph.rewrite import clone
from keras_basisprune.graph.trace import check_model
from keras_basisprune.methods.diff_pruning._copied import copied
from keras_basisprune.methods.diff_pruning._task_weights import task_weights
from keras_basisprune.utils.check_whole import check_whole


def new_head(model: keras.Model, classes: int) -> keras.Model:
    """Copies a classifier, with a new last layer for another number of classes.

    All other weights are those of the model, so that deltas fit both. The new layer has
    the config of the last one, and the weights that its initializers draw.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        classes: Integer, number of classes.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        ValueError: If the model doesn't end in one layer with `units` or `filters`.

    Example:

    >>> model = keras_basisprune.methods.new_head(imagenet, classes=10)
    >>> delta = keras_basisprune.methods.diff_pruning(model, (x, y))
    """
    check_model("model", model)
    check_whole("classes", classes, 2, remedy="Pass the number of classes.")
    layers = task_weights(model).layers
    sizes = [s for s in ("units", "filters") if hasattr(layers[0], s)]
    if len(layers) != 1 or not sizes or layers[0] not in model.layers:
        names = [layer.name for layer in layers]
        raise ValueError(
            "Expected `model` to end in one layer with `units` or `filters`, such as "
            f"Dense. Received: model={model.name!r}, whose last layers with weights "
            f"are {names}. Build a model with a head for your classes."
        )
    layer = layers[0]
    renewed = clone(layer, layer.name, **{sizes[0]: int(classes)})
    return copied(model, {id(layer): renewed})
