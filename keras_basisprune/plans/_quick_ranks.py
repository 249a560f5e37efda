"""Raises ranks wherever more bases cost no time."""

import math

import numpy as np

from keras_basisprune.linalg import descending
from keras_basisprune.plan import Kept, Plan
from keras_basisprune.plans._part_costs import rank_time
from keras_basisprune.plans._same_time import same_time

_MULTIPLES = (4, 8, 16)  # numbers of channels that LiteRT's kernels compute at once


def quick_ranks(plan, parts, traced, table, limits, excluded) -> Plan:
    """Raises ranks to those that run fastest on this machine.

    A smaller number of channels can be slower than a larger one, and two layers slower
    than the layer that they replace (docs/compress.md). For each layer these are timed
    in the form after `fold`: its rank, the next multiples of 4, 8 and 16 above, and the
    whole layer, undecomposed. Of those that take at most 2 % longer than the fastest,
    the one with the most bases is chosen, since they cost no time. A layer that is
    called several times is timed with the input of its first call. Bases are added by
    their scores. No rank is lowered.

    Args:
        plan: A `Plan` of bases of all parts.
        parts: The model's `Part`s.
        traced: Its `Trace`.
        table: A `LatencyTable`.
        limits: A `Limits`: ranks are multiples of its `round_to`.
        excluded: Names of parts that keep their ranks.

    Returns:
        A `Plan` that names the same layers, with at least the same bases.
    """
    bases = dict(plan.bases)
    for part in parts:
        if part.name not in excluded:
            shape = part.shapes(traced)[0]
            bases[part.name] = _best(part, bases[part.name], shape, table, limits)
    return Plan(bases=bases)


def _best(part, kept, shape, table, limits) -> Kept:
    """Returns the kept bases, and those that can be added without costing time."""
    mask = part.scores > 0
    mask[list(kept.indices)] = True
    rank, most = len(kept.indices), int(mask.sum())
    above = (min(rank - rank % step + step, most) for step in _MULTIPLES)
    counts = {count for count in above if limits.rounded(count, part.rank) == count}
    whole = {most} if limits.rounded(most, part.rank) == most else set()
    times = {
        count: rank_time(part, count, shape, table) for count in {rank, *counts, *whole}
    }
    limit = same_time(times.values())
    count = max(count for count, time in times.items() if time <= limit)
    scores = np.where(mask, part.scores, -1.0)
    scores[list(kept.indices)] = math.inf
    order = descending(scores, part.rounding)[:count]
    return Kept(tuple(sorted(order)), kept.total)
