"""Which networks a search is likely to ask for next."""

import collections


def likely_attempts(search, known, outcomes, count) -> list:
    """Returns the attempts that a search is likely to make next.

    The search is played through with what is known; where that ends, with each of some
    outcomes, and so on. What a search needs for certain comes first.

    Args:
        search: A function of a function `attempt(*key)`, which calls it in an order
            that depends on nothing but the scores that it returns.
        known: Dict of the scores by key.
        outcomes: Sequence of scores that any attempt may have.
        count: Integer, how many keys are wanted.

    Returns:
        A list of at most `count` keys, without those that are known.

    Example:

    >>> def search(attempt):
    ...     return attempt("b") if attempt("a") > 0.5 else attempt("c")
    >>> likely_attempts(search, {}, (1.0, 0.0), 3)
    [('a',), ('b',), ('c',)]
    """
    found, plays = [], collections.deque([{}])
    while plays and len(found) < count:
        assumed = plays.popleft()
        key = _next(search, {**known, **assumed})
        if key is None:
            continue
        if key not in found:
            found.append(key)
        if len(assumed) < count:
            plays.extend({**assumed, key: score} for score in outcomes)
    return found


class _Unknown(Exception):
    """What a search asks is not known; holds the key."""


def _next(search, known):
    def attempt(*key):
        if key not in known:
            raise _Unknown(key)
        return known[key]

    try:
        search(attempt)
    except _Unknown as unknown:
        return unknown.args[0]
    return None
