"""What the first of the two layers is called that stand for a decomposed one."""


def basis_name(name) -> str:
    """The name of the layer that holds the bases of the layer `name`."""
    return f"{name}_basis"
