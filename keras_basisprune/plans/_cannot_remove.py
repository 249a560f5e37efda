"""Explains why no more channels can be removed."""

import math

import numpy as np


def cannot_remove(share, nothing, scores, pinned, makers, limited) -> str:
    """Returns the end of a message: why channels are kept, and what to do.

    Args:
        share: Float, the smallest share that can be reached.
        nothing: Whether no channel may be removed at all.
        scores: Array of shape `(groups,)`.
        pinned: Maps groups that can't be removed to the reason.
        makers: Maps names of layers to the groups of their output channels.
        limited: Whether some channels are kept because of limits alone.

    Returns:
        A string.
    """
    remedies = [f"Pass keep={math.ceil(share * 1000) / 1000:.3f} or more"]
    if nothing:
        remedies = ["No channel may be removed: see `channel_groups(model)`"]
    fixed, infinite = _causes(scores, pinned, makers)
    causes = [fixed] if fixed else []
    if infinite:
        causes.append(f"scores of {infinite} are infinite")
        remedies.append("scores of another criterion")
    if limited:
        causes.append("`limits` keep channels")
        remedies.append("wider `limits`")
    start = ": " if causes else ". "
    after = ". " if causes else ""
    return f"{start}{', '.join(causes)}{after}{', or '.join(remedies)}."


def _causes(scores, pinned, makers) -> tuple[str, str]:
    """Names what is pinned and why, and layers whose scores are infinite."""
    reasons = [r for r in pinned.values() if r != "input of the model"]
    told = _first(dict.fromkeys(reasons), "; ")
    fixed = f"{len(reasons):,} groups can't be removed ({told})" if reasons else ""
    free = np.isinf(scores)
    free[list(pinned)] = False
    names = [f"`{name}`" for name, of in makers.items() if free[of].any()]
    return fixed, _first(names, ", ")


def _first(words, between) -> str:
    """Joins the first four of some words."""
    words = list(words)
    return between.join([*words[:4], *(["..."] if len(words) > 4 else [])])
