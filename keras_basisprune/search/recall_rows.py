"""The recall of each class."""

import numpy as np


def recall_rows(labels, was, is_now) -> list[dict]:
    """Returns the recall of each class, for the original and for a network.

    Args:
        labels: Integer array of shape `(images,)`.
        was: Boolean array: which answers of the original are right.
        is_now: The same for the network.

    Returns:
        A list of dicts, one for each class with images: `"class"`, `"images"` (their
        number), `"before"` and `"after"` (recall of the original and of the network),
        `"lost"` and `"gained"` (numbers of answers).
    """
    rows = []
    for number in np.unique(labels):
        own = labels == number
        before, after = was[own], is_now[own]
        rows.append(
            {
                "class": int(number),
                "images": len(before),
                "before": float(np.mean(before)),
                "after": float(np.mean(after)),
                "lost": int(np.sum(before & ~after)),
                "gained": int(np.sum(after & ~before)),
            }
        )
    return rows
