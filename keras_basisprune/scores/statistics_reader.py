"""Reads batches for the statistics of layers' outputs."""

from keras_basisprune.data.relevance.encoder_fingerprint import encoder_fingerprint
from keras_basisprune.scores.activation_bases import OutputReader
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.to_decompose import twin_of


class StatisticsReader:
    """Reads batches, and returns the statistics of what was read.

    Args:
        model: A `keras.Model`.
        found: Its `ToDecompose`.

    Attributes:
        model: String, a checksum of the model.
    """

    def __init__(self, model, found):
        self._names, self._twin = found.names, twin_of(model, found)
        self.model = encoder_fingerprint(model)
        self._reader = None  # compiled once, for all shards that a worker reads

    def read(self, batches):
        """Adds samples: an iterable of lists of arrays, one per input of the model."""
        if self._reader is None:
            self._reader = OutputReader(self._twin, self._names, exact=True)
        self._reader.read(batches)

    def statistics(self) -> OutputStatistics:
        """Returns the statistics of what was read, and begins again."""
        reader = self._reader
        moments = {self._names[key]: found for key, found in reader.moments.items()}
        count = reader.count
        reader.clear()
        for name, found in moments.items():
            found.check(name)
        return OutputStatistics(self.model, count, moments)
