"""Why no more channels can leave, in words."""

import math

import numpy as np


def cannot_leave(share, nothing, scores, pinned, makers, limited) -> str:
    """Says what keeps channels, and what to do: the rest of a message.

    Args:
        share: Float, what is left when all have left that may.
        nothing: Whether no channel may leave at all.
        scores: Array of shape `(groups,)`.
        pinned: Maps groups that can't leave to the reason.
        makers: Maps names of layers to the groups of the channels that they make.
        limited: Whether limits keep some that might leave otherwise.
    """
    remedies = [f"Pass keep={math.ceil(share * 1000) / 1000:.3f} or more"]
    if nothing:
        remedies = ["No channel may leave: see `channel_groups(model)`"]
    stay, infinite = _kept_by(scores, pinned, makers)
    causes = [stay] if stay else []
    if infinite:
        causes.append(f"scores of {infinite} are infinite")
        remedies.append("scores of another criterion")
    if limited:
        causes.append("`limits` keep channels")
        remedies.append("wider `limits`")
    start = ": " if causes else ". "
    after = ". " if causes else ""
    return f"{start}{', '.join(causes)}{after}{', or '.join(remedies)}."


def _kept_by(scores, pinned, makers) -> tuple[str, str]:
    """What is pinned and why, and layers whose scores are infinite."""
    reasons = [r for r in pinned.values() if r != "input of the model"]
    told = _first(dict.fromkeys(reasons), "; ")
    stay = f"{len(reasons):,} groups can't leave ({told})" if reasons else ""
    free = np.isinf(scores)
    free[list(pinned)] = False
    names = [f"`{name}`" for name, of in makers.items() if free[of].any()]
    return stay, _first(names, ", ")


def _first(words, between) -> str:
    """The first four of some words in a row."""
    words = list(words)
    return between.join([*words[:4], *(["..."] if len(words) > 4 else [])])
