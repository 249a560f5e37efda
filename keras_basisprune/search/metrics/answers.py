"""What outputs answer, in the form of labels."""

import numpy as np


def answers_of(output, found) -> np.ndarray:
    """Returns what an output answers, in the form of labels.

    Args:
        output: An `Output`.
        found: Array of the model's outputs.

    Returns:
        The most probable class for classes, true or false for yes and no, else the
        numbers.
    """
    if output.kind == "classes":
        return np.argmax(found, axis=-1)
    if output.kind == "binary":
        return found > output.threshold
    return np.asarray(found, "float32")


def are_right(output, truth, found) -> np.ndarray:
    """Returns which answers are those of the labels, an array of booleans."""
    if output.kind == "binary":
        truth = np.asarray(truth) > 0.5
    return answers_of(output, found) == truth


def cosine(truth, found) -> np.ndarray:
    """Returns the cosines of the angles between vectors, along the last axis."""
    truth, found = (np.asarray(x, np.float64) for x in (truth, found))
    norms = np.linalg.norm(truth, axis=-1) * np.linalg.norm(found, axis=-1)
    return (truth * found).sum(-1) / np.maximum(norms, 1e-12)
