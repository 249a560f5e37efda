"""How many weights a decomposed matrix has in its cheapest form."""


def folded_weights(rank, n, cout) -> int:
    """Counts the weights that an `(n, cout)` matrix of some rank needs.

    Two factors have `rank (n + cout)` weights, their product has `n cout`. The smaller
    number counts: that is the form which `fold` keeps, the product where both are the
    same.

    Args:
        rank: Integer, the number of bases.
        n: Integer, rows of the matrix.
        cout: Integer, its columns.

    Returns:
        An integer. If it is `n * cout`, the factors are multiplied.

    Example:

    >>> folded_weights(2, 9, 8), folded_weights(5, 9, 8)
    (34, 72)
    """
    return min(rank * (n + cout), n * cout)
