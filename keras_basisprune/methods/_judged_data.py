"""Data that layers are fitted on and networks are judged on."""

import numpy as np

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.check_data import check_data
from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once


class JudgedData:
    """Images, and what a network should answer to some of them.

    Args:
        model: A classifier.
        data: Unlabelled samples, as for `compensate`; or a pair `(x, y)` of arrays, `y`
            integer labels.
        held_out: Float in [0, 1): the share that is judged on and not fitted on. 0: all
            are both.

    Attributes:
        images: The samples without labels.
        fitted: A list of lists of arrays, one per input: batches to fit on.
        judged: The same, to judge on.
        labels: Integer array, one for each that is judged; `None` without labels.

    Raises:
        ValueError: If the model is no classifier, or the data do not fit it.
    """

    def __init__(self, model, data, held_out):
        _check_classifier(model)
        self.images, labels = data, None
        pair = isinstance(data, tuple | list) and len(data) == 2
        if pair and len(model.inputs) == 1:
            self.images, labels = check_data("data", model, data, labels="optional")
        size = samples_at_once(model)
        batches = list(
            sample_batches(model, None, self.images, "data", size, kept=True)
        )
        self.fitted, self.judged, self.labels = batches, batches, labels
        if held_out and fixed_batch(model) is None:
            cuts = [max(1, round(len(b[0]) * (1 - held_out))) for b in batches]
            pairs = list(zip(batches, cuts, strict=True))
            self.fitted = [[array[:cut] for array in b] for b, cut in pairs]
            judged = [[array[cut:] for array in b] for b, cut in pairs]
            self.judged = [batch for batch in judged if len(batch[0])]
            if not self.judged:
                raise ValueError(
                    "Expected `data` to hold enough samples to hold some out. Received:"
                    f" {sum(cuts)}, with held_out={held_out}. Pass more, or "
                    "`held_out=0`."
                )
            if labels is not None:
                starts = np.cumsum([0, *(len(batch[0]) for batch in batches)])
                parts = zip(starts, cuts, starts[1:], strict=False)
                self.labels = np.concatenate([labels[a + c : b] for a, c, b in parts])

    def answers(self, outputs) -> np.ndarray:
        """The classes that a network names, without those of images that fill up."""
        classes = np.argmax(outputs, axis=-1)
        return classes if self.labels is None else classes[: len(self.labels)]


def _check_classifier(model):
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][1] or 0) < 2:
        raise ValueError(
            "Expected `model` to have one output of shape (batch, classes), of two "
            f"classes or more. Received: outputs of the shapes {shapes}. End a network "
            "of one sigmoid in two classes, or choose channels by another method, such "
            "as `compensated_channels`."
        )
