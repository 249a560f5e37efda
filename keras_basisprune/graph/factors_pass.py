"""Layers that commute with factors per channel."""

from keras_basisprune.graph.rules import rule_of


def factors_pass(layer, positive: bool = True) -> bool:
    """Returns whether a factor per channel acts alike before and after a layer.

    The same holds for zeroed channels. `Concatenate` is such a layer.

    Args:
        layer: A layer or other operation.
        positive: Whether no factor is negative.

    Returns:
        A boolean.
    """
    scales = getattr(rule_of(layer), "scales", None)
    return scales == "any" or (positive and scales == "positive")
