"""Sums up the outputs of a model's layers, on many machines."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.on_beam.checked_batches import checked_batches
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.statistics_reader import StatisticsReader
from keras_basisprune.utils.types import Path


def summarize_outputs_on_beam(
    model: keras.Model,
    source: Any,
    *,
    work_dir: Path,
    include: Any = None,
    exclude: Any = None,
    image_size: int | tuple[int, int] | None = None,
    imports: Sequence[str] = (),
    shard_size: int = 10_000,
    options: Any = None,
    runner: Any = None,
    retries: int = 2,
) -> OutputStatistics:
    """Does what `summarize_outputs` does, as an Apache Beam pipeline.

    One pass over a source that no machine needs to hold: workers run the model on
    shards of it, sum up means and covariances of the layers' outputs, and merge them.
    Only these sums travel, `8 cout^2` bytes per layer and bundle of shards. The result
    is that of `summarize_outputs` with the same images (float32) to 1e-9, however they
    are divided, and is the `data` of `convert`, `select_bases` and `scores.bases`. If a
    worker dies, its shards are computed by another one, and counted once.

    Args:
        model: A built Functional or Sequential `keras.Model`, not converted. Workers
            load it from a `.keras` file.
        source: The path of a folder of images, or of an `.npz`, `.npy` or `.tfrecord`
            file, or a list of such paths, which every worker can read: pixels of 0 to
            255, brought to the size of the model's input. Or a `beam.PTransform` that
            gives batches when a pipeline is piped into it: arrays as the model takes
            them, or lists of them, one per input.
        work_dir: Folder that every worker can read and write, for the model and the
            result.
        include: What to decompose, as in `convert`.
        exclude: What not to decompose, as in `convert`.
        image_size: Integer or `(height, width)` that images are brought to, for a model
            that takes any size.
        imports: Names of modules that workers import before they load the model, since
            they register its layers, say.
        shard_size: Integer, images per shard; TFRecord files are not divided.
        options: `apache_beam.options.pipeline_options.PipelineOptions`, which say where
            the pipeline runs; `None` for this process.
        runner: A runner, or its name, instead of that in `options`.
        retries: Integer, how often a pipeline that fails is run again.

    Returns:
        An `OutputStatistics`.

    Raises:
        ImportError: Apache Beam is not installed.
        ValueError: An argument is not valid, or there is no sample.

    Example:

    >>> options = PipelineOptions(["--runner=FlinkRunner", "--flink_master=host:8081"])
    >>> statistics = keras_basisprune.scores.summarize_outputs_on_beam(
    ...     model, "/net/photos", work_dir="/net/work", options=options)
    >>> converted = keras_basisprune.convert(model, 0.95, data=statistics)
    """
    reader = StatisticsReader(model, include, exclude)
    place = BeamSource(
        "summarize_outputs_on_beam",
        model,
        source,
        work_dir,
        reader.batch_size,
        image_size=image_size,
        shard_size=shard_size,
        options=options,
        runner=runner,
        retries=retries,
    )
    of_workers = WorkerModel(model, place.folder, imports)
    found = place.merged(_Summary(of_workers, tuple(reader.layers)))
    return dataclasses.replace(found, model=reader.model)


@dataclasses.dataclass(frozen=True)
class _Summary:
    """Sums up outputs in a worker."""

    model: WorkerModel
    layers: tuple[str, ...]

    def start(self):
        model = self.model.load()
        reader = StatisticsReader(model, list(self.layers))

        def read(batches):
            reader.read(checked_batches(model, batches))
            return reader.statistics()

        return read
