"""Images and classes in memory, for methods that train."""

import numpy as np

from keras_basisprune.data.examples.batch import joined
from keras_basisprune.graph.run_examples import run_examples


def class_examples(model, examples) -> tuple[np.ndarray, np.ndarray]:
    """Returns images and integer labels in memory, for methods that train.

    Args:
        model: A classifier with one input and one output.
        examples: `ArrayExamples` or `StreamExamples`; without labels, the classes that
            the model predicts are taken.

    Returns:
        A pair of arrays.
    """
    if examples.labelled:
        whole = joined(list(examples.batches(1024)))
        labels = (whole.targets or [None])[0]
    else:
        runs = list(run_examples(model, examples))
        whole = joined([batch for batch, _ in runs])
        labels = np.concatenate([found[0] for _, found in runs])
    classes = model.output_shape[-1]
    if labels.ndim == 2 and labels.shape[-1] == classes:
        labels = labels.argmax(-1)
    return whole.inputs[0], labels.reshape(-1)
