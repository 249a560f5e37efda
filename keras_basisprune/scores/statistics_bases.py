"""Bases of layers' outputs of which the statistics are known."""

from keras_basisprune.linalg import LowRank
from keras_basisprune.scores.activation_bases import basis_of_moments


def statistics_bases(model, found, twin, statistics, keys=None) -> dict[int, LowRank]:
    """Returns what `activation_bases` does for the samples of an `OutputStatistics`.

    Args:
        model: A `keras.Model`.
        found: Its `ToDecompose`.
        twin: Its `LinearTwin`.
        statistics: An `OutputStatistics`.
        keys: Keys of those of the twin's `layers` to compute bases for; `None` for all.

    Raises:
        ValueError: If the statistics are those of another model or of other layers.
    """
    names = {key: found.names[key] for key in (found.layers if keys is None else keys)}
    statistics.check(model, names.values())
    return {
        key: basis_of_moments(twin.layers[key], statistics.moments[name])
        for key, name in names.items()
    }
