"""The argument `verbose`."""

import numpy as np

from keras_basisprune.utils.shown import shown


def check_verbose(verbose) -> bool:
    """Raises `ValueError` unless `verbose` is a value that Keras accepts.

    Args:
        verbose: `"auto"`, 0, 1, 2, or a boolean.

    Returns:
        Whether to show a progress bar.
    """
    number = isinstance(verbose, int | np.integer | np.bool_) and 0 <= verbose <= 2
    if number or (isinstance(verbose, str) and verbose == "auto"):
        return bool(verbose)
    raise ValueError(
        "Expected `verbose` to be 'auto', 0, 1 or 2. "
        f"Received: verbose={shown(verbose)}. Pass 0 to see nothing."
    )
