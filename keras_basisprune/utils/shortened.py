"""Long lists in messages."""

from collections.abc import Iterable


def shortened(words: Iterable, most: int = 20, between: str = ", ") -> str:
    """Words in a row, the first of them where there are many.

    Args:
        words: What is listed; texts as they are, all else by `str`.
        most: Integer, how many are shown.
        between: What stands between them.

    Returns:
        A string.

    Example:

    >>> shortened(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    words = [str(word) for word in words]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more
