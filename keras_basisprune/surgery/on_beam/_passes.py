"""Which layers can be fitted in one pass over the data."""

import collections

import keras

from keras_basisprune.surgery._original_outputs import first_calls


def passes(done, calls) -> list[list[int]]:
    """Groups layers so that none depends on another one of its group.

    A layer is fitted on the inputs that the corrected layers before it deliver, so it
    is in the group behind the last of those. Layers before which nothing was removed
    have nothing to correct and are in none. Time is linear in the number of calls.

    Args:
        done: A `PrunedCalls`.
        calls: The calls of the original, depth first.

    Returns:
        A list of lists of positions of calls.
    """
    fitted = set(first_calls(calls))
    level = dict.fromkeys((id(t) for t in keras.tree.flatten(done.traced.inputs)), 0)
    own: dict[int, int] = {}  # of layers, since all calls share their weights
    groups: dict[int, list[int]] = collections.defaultdict(list)
    for position, call in enumerate(calls):
        kept = [done.kept[id(tensor)] for tensor in call.input_tensors]
        less = any(k is not None and len(k) < k.total for k in kept)
        before = max((level[id(t)] for t in call.input_tensors), default=0)
        after = max(before, own.get(id(call.op), 0))
        if less and not after:
            after = 1  # what follows differs from the original
        if position in fitted and after:
            groups[after].append(position)
            after = own[id(call.op)] = after + 1
        level |= dict.fromkeys((id(t) for t in call.output_tensors), after)
    return [groups[number] for number in sorted(groups)]
