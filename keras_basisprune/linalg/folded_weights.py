"""Number of weights of a decomposed matrix in its smallest form."""


def folded_weights(rank, n, cout) -> int:
    """Counts the weights that an `(n, cout)` matrix of some rank needs.

    Two factors have `rank (n + cout)` weights, their product has `n cout`. The smaller
    number counts, since `fold` keeps that form (the product if both are equal).

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
