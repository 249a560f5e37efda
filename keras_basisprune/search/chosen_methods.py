"""The methods that a search uses."""

import dataclasses

from keras_basisprune.methods import METHODS, Method
from keras_basisprune.search.fingerprint import fingerprint
from keras_basisprune.utils.shown import shown


def chosen_methods(methods) -> tuple[Method, ...]:
    """Checks a choice of methods.

    Args:
        methods: A list or tuple of names (or aliases) of `METHODS`, or of `Method`s.

    Returns:
        The `Method`s, sorted by `short_name`.

    Raises:
        ValueError: If there is no method, or one comes twice.
    """
    rows = []
    if isinstance(methods, list | tuple):
        rows = [row for row in map(_row, methods) if row is not None]
    different = len({short_name(row) for row in rows}) == len(rows)
    if not (rows and different and len(rows) == len(methods)):
        *names, last = map(repr, _names())
        raise ValueError(
            f"Expected `methods` to name {', '.join(names)} or {last}, or to hold a "
            "`Method`, each once, in a list. Received: "
            f"methods={shown(methods)}. Leave it out for 'basis' and 'channels'."
        )
    return tuple(sorted(rows, key=short_name))


def short_name(method) -> str:
    """Returns the alias of a method, or its name if it has no alias."""
    return method.alias or method.name


def own_methods(chosen) -> dict:
    """Describes the methods that are not in `METHODS`, by what their functions do.

    Args:
        chosen: What `chosen_methods` returned.

    Returns:
        A dict by name of values that JSON can represent; see `fingerprint`.
    """
    return {
        row.name: {
            field.name: fingerprint(getattr(row, field.name))
            for field in dataclasses.fields(row)
        }
        for row in chosen
        if row is not METHODS.get(row.name)
    }


def tried_methods(chosen, possible) -> tuple[Method, ...]:
    """Returns the methods to try, in this order.

    Methods that combine several come first, then those that remove channels, then those
    that remove bases; all methods that train come after those that don't.

    Args:
        chosen: What `chosen_methods` returned. Rows of the table that combine some of
            them are tried too.
        possible: What `cuttable` returned for them.

    Returns:
        A tuple of `Method`s. Where a method removes more than is possible, the methods
        that it combines are tried instead.
    """
    names = {row.name for row in chosen}
    combining = (row for row in METHODS.values() if row.combines)
    added = [row for row in combining if names.issuperset(row.combines)]
    tried = {row.name: row for row in (*chosen, *added)}
    combined = [name for row in tried.values() for name in row.combines]
    parts = [METHODS[name] for name in combined if name in METHODS]
    for rows in (tried.values(), parts):
        found = {r.name: r for r in rows if set(r.removes) <= set(possible)}
        if found:
            return tuple(sorted(found.values(), key=_order))
    return tuple(sorted(tried.values(), key=_order))


def _row(method) -> Method | None:
    """Returns the row that is meant; `None` for anything else."""
    if isinstance(method, Method):
        return method
    found = [row for row in METHODS.values() if method in (row.name, short_name(row))]
    return found[0] if isinstance(method, str) and found else None


def _names() -> list[str]:
    """Returns the short names of all rows, those with an alias first."""
    rows = sorted(METHODS.values(), key=lambda row: not row.alias)
    return [short_name(row) for row in rows]


def _order(row):
    table = list(METHODS)
    place = table.index(row.name) if row.name in table else len(table)
    training = (row.train is not None) + row.train_each
    channels_first = "channels" not in row.removes
    return training, -len(row.removes), channels_first, place, row.name
