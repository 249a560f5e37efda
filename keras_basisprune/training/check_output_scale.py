"""Checks that it is known whether outputs are logits."""

from keras_basisprune.graph.output_kinds import first_outputs
from keras_basisprune.training.check_probabilities import check_probabilities


def check_output_scale(argument, model, outputs, batch):
    """Raises `ValueError` unless outputs for classes are logits or probabilities.

    Args:
        argument: Name of the argument, for the message.
        model: A `keras.Model`.
        outputs: The `Output`s; where logits are meant, nothing is checked.
        batch: A `Batch` of some samples, of which the first are run.
    """
    if all(output.kind != "classes" or output.logits for output in outputs):
        return
    found = first_outputs(model, [array[:8] for array in batch.inputs])
    for output, values in zip(outputs, found, strict=True):
        if output.kind == "classes" and not output.logits:
            check_probabilities(argument, values)
