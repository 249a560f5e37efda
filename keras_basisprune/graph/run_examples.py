"""Runs a model on examples, batch by batch."""

import keras

from keras_basisprune.data.batching.fill_up import fill_up
from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.run_batches import run_batches
from keras_basisprune.data.batching.spread import run_spread


def run_examples(model, examples, batch_size=64):
    """Runs a model in inference on examples, batch by batch.

    A batch is in memory at a time. The last one is filled up, so that a function of one
    shape is compiled, and cut again.

    Args:
        model: A built Functional or Sequential `keras.Model`; or anything that runs by
            `run_batch(inputs)`.
        examples: `ArrayExamples` or `StreamExamples`.
        batch_size: Integer; a model that runs only on batches of its own size gets
            those.

    Yields:
        Pairs of a `Batch` and a list of arrays, the outputs for it.
    """
    own = getattr(model, "run_batch", None)
    size = (not own and fixed_batch(model)) or min(batch_size, len(examples))
    for batch in examples.batches(size):
        inputs = batch.inputs
        yield batch, own(inputs) if own else outputs_of(model, inputs, size)


def outputs_of(model, inputs, size=None):
    """Returns the outputs of a model for one batch.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        inputs: List of arrays, one per input.
        size: Integer, to which the batch is filled up; `None` to leave it. A model that
            runs only on batches of its own size gets those.

    Returns:
        A list of arrays, one per output.
    """
    count, size = len(inputs[0]), fixed_batch(model) or size
    if size and count > size:
        return run_batches(lambda part: outputs_of(model, part, size), inputs, size)
    arrays = [fill_up(array, size) for array in inputs]
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    found = run_spread(model, keras.tree.pack_sequence_as(structure, arrays))
    return [keras.ops.convert_to_numpy(x)[:count] for x in keras.tree.flatten(found)]
