"""The name of the first of the two layers that replace a decomposed one."""


def basis_name(name) -> str:
    """Returns the name of the layer that holds the bases of the layer `name`."""
    return f"{name}_basis"
