"""Checks that labels fit the outputs of a model."""

from keras_basisprune.graph.output_targets import output_targets

_AT_ONCE = 256


def check_labels(argument, examples, outputs):
    """Raises `ValueError` unless labels fit the outputs of a model.

    Args:
        argument: Name of the argument, for the message.
        examples: `ArrayExamples` or `StreamExamples`.
        outputs: The `Output`s of the model.
    """
    if not examples.labelled:
        return
    alone = len(outputs) == 1
    if examples.in_memory:
        batches, whole = [examples.whole], len(examples)
    else:
        batches, whole = examples.batches(_AT_ONCE), None
    for batch in batches:
        for output, labels in zip(outputs, batch.targets, strict=True):
            if labels is not None:
                count = whole or len(batch)
                output_targets(argument, output, labels, count, alone=alone)
