"""Names of layers in a flat model."""


def flat_names(traced, stands=None) -> dict[int, str]:
    """Returns the names that `rewrite` would give to the layers of a model.

    Args:
        traced: The model's `Trace`.
        stands: `stands(layer, name)` returns the names of the layers that will replace
            a layer, or `None` if it is only copied. Defaults to copying all.

    Returns:
        A dict from the `id` of each layer (and other operation) to its name.
    """
    taken = {layer.name for layer in traced.input_layers}
    names: dict[int, str] = {}
    for call in traced.calls:
        if id(call.op) in names:
            continue
        name = names[id(call.op)] = unique_name(call.op.name, taken, call.scope)
        for own in (stands and stands(call.op, name)) or ():
            taken.add(unique_name(own, taken, call.scope))
        taken.add(name)
    return names


def unique_name(name, taken, scope) -> str:
    """Returns a free name: the same, or with the nested models' names or a number.

    Args:
        name: The name of a layer.
        taken: A set of names.
        scope: Names of the nested models that the layer is in, outermost first.
    """
    candidates = [name, *("_".join((*scope[i:], name)) for i in range(len(scope)))]
    for candidate in candidates[:1] + candidates[:0:-1]:
        if candidate not in taken:
            return candidate
    count = 1
    while f"{candidates[0]}_{count}" in taken:
        count += 1
    return f"{candidates[0]}_{count}"
