"""Sums up the outputs of a model's layers, on many machines."""

import dataclasses

from keras_basisprune.data.on_beam.beam_runs import BeamRuns
from keras_basisprune.data.on_beam.checked_batches import checked_batches
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.statistics_reader import StatisticsReader
from keras_basisprune.scores.to_decompose import to_decompose


def summary_on_beam(model, found, source) -> OutputStatistics:
    """Does what `summarize_outputs` does, for a `BeamSource`.

    Args:
        model: A `keras.Model`.
        found: Its `ToDecompose`.
        source: A `BeamSource`.
    """
    reader = StatisticsReader(model, found)
    runs = BeamRuns(model, source)
    summary = runs.merged(_Summary(runs.model, found.layer_names()))
    return dataclasses.replace(summary, model=reader.model)


@dataclasses.dataclass(frozen=True)
class _Summary:
    """Sums up outputs in a worker."""

    model: WorkerModel
    layers: list[str]

    def start(self):
        model = self.model.load()
        reader = StatisticsReader(model, to_decompose(model, self.layers))

        def read(batches):
            reader.read(checked_batches(model, batches))
            return reader.statistics()

        return read
