"""What ranks are chosen by."""

import numpy as np


def drawn_scores(ranks, seed, power=1):
    """Random scores of the bases of layers, given the layers' ranks by name."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0.01, 1.0, rank) ** power for name, rank in ranks.items()}
