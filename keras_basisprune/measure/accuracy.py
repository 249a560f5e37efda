"""Accuracy of a classifier."""

import keras
import numpy as np

from keras_basisprune.data.ends import check_ends
from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.output_kinds import Output, output_kinds
from keras_basisprune.graph.output_targets import output_targets
from keras_basisprune.graph.run_examples import run_examples
from keras_basisprune.graph.running import predict
from keras_basisprune.graph.trace import check_model, is_graph
from keras_basisprune.utils.check_numeric import check_numeric
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data


def accuracy(model: keras.Model, data: Data, *, batch_size: int = 64) -> float:
    """Returns the share of images whose most probable class is their label.

    A model with one sigmoid names two classes. Memory is that of one batch, besides the
    data.

    Args:
        model: A classifier; it need not be compiled.
        data: A pair `(x, y)` of arrays, or a dataset of such batches (a
            `tf.data.Dataset`, `keras.utils.PyDataset`, ...); `y` integer or one-hot
            labels. Sample weights count.
        batch_size: Integer.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If an argument is out of its range, the model does not output one
            number for each of two classes or more (or one sigmoid), or the data do not
            fit it or never end.
    """
    check_model("model", model, readable=isinstance(model, keras.Sequential))
    batch_size = check_whole("batch_size", batch_size)
    check_ends("data", data[0] if isinstance(data, tuple | list) and data else data)
    if not is_graph(model) or len(model.outputs) != 1:
        return _of_any(model, data, batch_size)
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2:
        _check_outputs(shape)
    examples = read_examples("data", model, data, "needed")
    (output,) = output_kinds(model, examples.first)
    if (shape[-1] or 0) >= 2:
        output = Output(output.name, "classes", output.logits, output.shape)
    elif output.kind != "binary":
        _check_outputs(shape)
    right = total = 0.0
    for batch, (found,) in run_examples(model, examples, batch_size):
        labels = output_targets("data", output, batch.targets[0], len(batch))
        if output.kind == "classes":
            same = np.argmax(found, axis=-1) == labels
        else:
            same = (found > output.threshold)[:, 0] == (labels > 0.5)[:, 0]
        weights = np.ones(len(batch)) if not batch.weights else batch.weights[0]
        right += float(np.sum(same * weights.reshape(-1)))
        total += float(np.sum(weights))
    return right / total


def _of_any(model, data, batch_size) -> float:
    """Returns the accuracy of a model whose inputs and outputs can't be read."""
    if not isinstance(data, tuple | list) or len(data) != 2 or data[1] is None:
        raise ValueError(
            "Expected `data` to be a pair (x, y) of inputs and integer labels. "
            f"Received: data of type {type(data).__name__}. Pass both."
        )
    predicted = predict(model, data[0], batch_size)
    _check_outputs(np.shape(predicted))
    labels = check_numeric("data", data[1], "integer labels")
    if labels.size != len(predicted):
        raise ValueError(
            "Expected `data` to hold one integer label per image. Received: "
            f"{len(predicted)} images and y of shape {labels.shape}. Turn one-hot "
            "labels into integers by `argmax(-1)`."
        )
    return float(np.mean(np.argmax(predicted, axis=-1) == labels.reshape(-1)))


def _check_outputs(shape):
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ValueError(
            "Expected `model` to have one output of shape (batch, classes), of two "
            f"classes or more. Received: outputs of shape {tuple(shape)}. Judge it by "
            "`model.evaluate`, with a metric of its task."
        )
