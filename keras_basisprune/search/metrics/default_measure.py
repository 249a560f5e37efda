"""The score that fits what a model's outputs are."""

import functools

import numpy as np

from keras_basisprune.search.metrics.answers import answers_of, are_right, cosine
from keras_basisprune.search.metrics.explained import Explained
from keras_basisprune.search.metrics.mean_iou import MeanIoU
from keras_basisprune.search.metrics.mean_of_outputs import MeanOfOutputs
from keras_basisprune.search.metrics.mean_value import MeanValue


def default_measure(outputs, labelled, weighted, constants):
    """Returns the score that fits what a model's outputs are.

    With labels: accuracy for classes (per position for sequences), mean intersection
    over union for maps of classes, binary accuracy (per label) for yes and no, mean
    absolute error for numbers, mean cosine for directions. With several outputs it is
    the mean; if there are errors among the scores, each is put in relation to the
    deviation from a constant (`Explained`), so that more is better for all. Without
    labels, how far a network agrees with the original.

    Args:
        outputs: Sequence of `Output`s.
        labelled: Sequence of booleans: which outputs have labels. If none has, the
            original's answers take their place.
        weighted: Whether samples have weights.
        constants: List of arrays: the mean answer of each output.

    Returns:
        A `Measure`.
    """
    agreement = not any(labelled)
    chosen = [i for i in range(len(outputs)) if agreement or labelled[i]]
    numbers = [outputs[i].kind == "numbers" for i in chosen]
    relative = agreement or (any(numbers) and not all(numbers))
    several = len(outputs) > 1
    found = [
        _one(outputs[i], i, relative, several, weighted, constants[i]) for i in chosen
    ]
    one = found[0]
    if len(found) > 1:
        one = MeanOfOutputs("mean_of_outputs", found)
    if agreement:
        one.name = "agreement"
        known = (
            "agreement" if one.exact else f"agreement with the original ({one.text})"
        )
        one.text = known
    return one


def accuracy_measure(output, place, several=False, weighted=False, name=None):
    """Returns the share of right answers of an output.

    Args:
        output: An `Output` of classes, or of yes and no.
        place: Integer, its number.
        several: Whether the model has several outputs.
        weighted: Whether samples have weights.
        name: The name; `None` for `"accuracy"` or `"binary_accuracy"`.
    """
    own = "accuracy" if output.kind == "classes" else "binary_accuracy"
    single = len(output.shape) == 1
    if output.kind == "binary":
        single = output.shape == (1,)
    own = name or own
    return MeanValue(
        own,
        _named(own, output, several),
        place,
        functools.partial(are_right, output),
        exact=single and not several and not weighted,
    )


def _one(output, place, relative, several, weighted, constant):
    if output.kind == "numbers":
        if relative:
            name = "explained"
            text = _named("1 - error / deviation", output, several)
            return Explained(name, text, place, constant)
        name = "mean_absolute_error"
        text = _named(name, output, several)
        return MeanValue(name, text, place, _error, sign=-1, share=False)
    if output.kind == "directions":
        name = "cosine_similarity"
        return MeanValue(name, _named(name, output, several), place, cosine)
    if output.is_map and (output.kind == "classes" or output.shape[-1] == 1):
        classes = output.shape[-1] if output.kind == "classes" else 2
        text = _named("mean_iou", output, several)
        found = functools.partial(answers_of, output)
        return MeanIoU(text, place, classes, found)
    return accuracy_measure(output, place, several, weighted)


def _named(name, output, several) -> str:
    name = name.replace("_", " ").replace("iou", "IoU")
    return f"{name} of `{output.name}`" if several else name


def _error(truth, found):
    return np.abs(np.asarray(truth, np.float64) - found)
