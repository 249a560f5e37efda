"""Layers behind which a factor per channel is one in front of them."""

from keras_basisprune.graph.rules import rule_of


def factors_pass(layer, positive: bool = True) -> bool:
    """Whether channels pass a layer by themselves, and factors of theirs with them.

    So do zeros. `Concatenate` is among these: what is read behind it is what it reads.

    Args:
        layer: A layer or other operation.
        positive: Whether no factor is negative.

    Returns:
        A boolean.
    """
    scales = getattr(rule_of(layer), "scales", None)
    return scales == "any" or (positive and scales == "positive")
