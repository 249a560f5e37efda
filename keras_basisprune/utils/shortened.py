"""Shortens long lists in messages."""

from collections.abc import Iterable


def shortened(words: Iterable, most: int = 20, between: str = ", ") -> str:
    """Joins words, only the first ones if there are many.

    Args:
        words: The items to list; converted by `str`.
        most: Integer, the most items to show.
        between: The separator.

    Returns:
        A string.

    Example:

    >>> shortened(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    words = [str(word) for word in words]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more
