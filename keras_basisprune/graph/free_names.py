"""Names that are still free in a model."""


class FreeNames:
    """Finds names for operations that are added to a model's graph, each of them once.

    Args:
        operations: Operations whose `name` is taken, such as `model.operations`.

    Example:

    >>> free = FreeNames(model.operations)  # one of them is `add`
    >>> free("add"), free("add"), free("sum")
    ('add_1', 'add_2', 'sum')
    """

    def __init__(self, operations):
        self._taken = {op.name for op in operations}

    def __call__(self, name) -> str:
        """Returns the name itself, or with the first free number appended."""
        found, count = name, 0
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found
