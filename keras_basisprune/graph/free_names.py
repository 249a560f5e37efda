"""Names that nothing in a model has."""


class FreeNames:
    """Gives names for what is added to a model's graph, each of them once.

    Args:
        operations: The model's operations, such as `model.operations`: whatever has a
            `name` that is taken.

    Example:

    >>> free = FreeNames(model.operations)  # one of them is `add`
    >>> free("add"), free("add"), free("sum")
    ('add_1', 'add_2', 'sum')
    """

    def __init__(self, operations):
        self._taken = {op.name for op in operations}

    def __call__(self, name) -> str:
        """The name itself, or with the first number behind it that is free."""
        found, count = name, 0
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found
