"""Which rows of the table of methods a search goes by."""

from keras_basisprune.methods import METHODS
from keras_basisprune.utils.shown import shown

# The rows that a search can make networks by, in the order that they are tried, by the
# short names of what they remove.
_TRIED = {
    METHODS[name].alias or name: METHODS[name]
    for name in ("double_pruning", "compensated_channels", "basis_regression")
}
_PARTS = {"bases": "basis", "channels": "channels"}


def chosen_methods(methods) -> tuple[str, ...]:
    """Checks names of methods.

    Args:
        methods: A list or tuple of names (or aliases) of `METHODS`.

    Returns:
        Their short names, sorted.

    Raises:
        ValueError: If there is none, one comes twice, or a search can't go by it.
    """
    short = {row.name: name for name, row in _TRIED.items()} | {n: n for n in _TRIED}
    several = isinstance(methods, list | tuple)
    known = several and all(isinstance(m, str) and m in short for m in methods)
    names = sorted(short[name] for name in methods) if known else []
    if not names or len(set(names)) < len(names):
        others = several and [m for m in methods if isinstance(m, str) and m in METHODS]
        raise ValueError(
            "Expected `methods` to name 'basis', 'channels' or 'double_pruning', each "
            f"once, in a list. Received: methods={shown(methods)}. Leave it out for "
            f"all of them{_elsewhere(others or [], short)}."
        )
    return tuple(names)


def removed_parts(chosen) -> tuple[str, ...]:
    """What may leave by these methods: `"basis"`, `"channels"` or both."""
    return tuple(sorted({_PARTS[p] for name in chosen for p in _TRIED[name].removes}))


def cut_splits(chosen, possible) -> tuple[float, ...]:
    """How much of a cut channels take, in the order that it is tried.

    Args:
        chosen: What `chosen_methods` returned. With `"basis"` and `"channels"`, double
            pruning is tried too.
        possible: Those of `removed_parts(chosen)` by which something can leave.

    Returns:
        A tuple of floats in [0, 1].
    """
    tried = {*chosen, *(["double_pruning"] if len(chosen) > 1 else [])}
    found = [
        row.split
        for name, row in _TRIED.items()
        if name in tried and {_PARTS[part] for part in row.removes} <= set(possible)
    ]
    # Of double pruning, what is possible is left.
    splits = found or [_TRIED[part].split for part in possible]
    return tuple(split for split in splits if split is not None)


def _elsewhere(names, short) -> str:
    names = [name for name in names if name not in short]
    if not names:
        return ""
    return (
        f"; `{names[0]}` is none for a search: use "
        f"`keras_basisprune.METHODS[{names[0]!r}]` by itself"
    )
