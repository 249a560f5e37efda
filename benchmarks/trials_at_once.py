"""How much sooner a search of `compress` ends if it tries several networks at once.

    python -m benchmarks.trials_at_once

Searches are played: what a network loses is a power of the loss that was predicted for
it, drawn at random with its exponent and size, with noise, and the three methods differ
by a quarter. The search makes what it needs and, with more workers, what it is likely
to need next (`search/workers/likely_attempts`). Prints how many networks it asks for,
and in how many turns of one network per worker. Networks take the same time each;
trainings are not played.
"""

import functools
import math

import numpy as np
from absl import app, flags

from keras_basisprune.search.next_share import NextShare
from keras_basisprune.search.smallest_share import smallest_share
from keras_basisprune.search.workers.likely_attempts import likely_attempts

_WORKERS = flags.DEFINE_list("workers", ["1", "2", "3", "4", "6", "8"], "Numbers.")
_SEARCHES = flags.DEFINE_integer("searches", 500, "Of each kind.")

METHODS = ("double_pruning", "compensated_channels", "basis_regression")
_SHARES = (0.95, 0.85, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)
_DIFFER, _NOISE = 0.25, 0.15  # standard deviations of logarithms


def _loss(share):
    return 0.01 * (share**-2 - 1)


def played(seed, workers) -> tuple[int, int]:
    """Plays one search; returns the numbers of networks and of turns."""
    rng = np.random.default_rng(seed)
    power, budget = rng.uniform(0.5, 2), 10 ** rng.uniform(-2.5, -1)
    sizes = 10 ** rng.uniform(-1.7, 0) * np.exp(rng.normal(0, _DIFFER, len(METHODS)))
    guess = NextShare([(share, _loss(share)) for share in _SHARES], 1.0, 1 - budget)
    find = functools.partial(
        smallest_share, min_score=1 - budget, methods=METHODS, guess=guess
    )
    known, ready, turns = {}, set(), 0

    def attempt(*key):
        nonlocal turns
        if key not in ready:
            outcomes = 1 - budget / 2, 1 - 2 * budget
            ready.update(likely_attempts(find, known, outcomes, workers))
            turns += 1
        share, method = key
        place = METHODS.index(method)
        chance = np.random.default_rng([seed, int(share * 1e6), place])
        lost = sizes[place] * _loss(share) ** power
        known[key] = 1 - lost * math.exp(chance.normal(0, _NOISE))
        return known[key]

    find(attempt)
    return len(known), turns


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    print("| workers | networks asked for | turns | sooner by |")
    print("|---:|---:|---:|---:|")
    for workers in map(int, _WORKERS.value):
        rows = [played(seed, workers) for seed in range(_SEARCHES.value)]
        networks, turns = np.mean(rows, 0)
        print(
            f"| {workers} | {networks:.1f} | {turns:.1f} | {networks / turns:.1f} x |"
        )


if __name__ == "__main__":
    app.run(main)
