"""Which layers can be fitted in one pass over the data."""

import collections

import keras


def fit_passes(traced, fitted, changed=None) -> list[list[int]]:
    """Groups layers so that none depends on another one of its group.

    A layer is fitted on what the fitted layers before it deliver, so it is in the group
    behind the last of those. Time is linear in the number of calls.

    Args:
        traced: A `Trace`.
        fitted: Maps the positions of the calls of layers that are fitted to the tensors
            that their fits depend on.
        changed: `changed(call)` returns whether a call was changed, so that what
            follows differs from the original. Layers that nothing changed before are in
            no group. `None` to fit all layers.

    Returns:
        A list of lists of positions of calls.
    """
    first = 1 if changed is None else 0
    level = {id(tensor): first for tensor in keras.tree.flatten(traced.inputs)}
    own: dict[int, int] = {}  # of layers, since all calls share their weights
    groups: dict[int, list[int]] = collections.defaultdict(list)
    for position, call in enumerate(traced.calls):
        read = [*call.input_tensors, *fitted.get(position, ())]
        after = max((level[id(tensor)] for tensor in read), default=first)
        after = max(after, own.get(id(call.op), 0))
        if changed is not None and not after and changed(call):
            after = 1
        if position in fitted and after:
            groups[after].append(position)
            after = own[id(call.op)] = after + 1
        level |= dict.fromkeys((id(t) for t in call.output_tensors), after)
    return [groups[number] for number in sorted(groups)]
