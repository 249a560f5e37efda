"""The error raised for a model without a layer to decompose."""


class NothingToDecompose(ValueError):
    """No layer that was asked for can be decomposed."""
