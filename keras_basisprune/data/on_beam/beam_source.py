"""A source of images on many machines, and where pipelines over it run."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_basisprune.data.checked_image_size import checked_image_size
from keras_basisprune.data.on_beam.imported_beam import imported_beam
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Path


@dataclasses.dataclass(frozen=True, eq=False)
class BeamSource:
    """Samples that no machine needs to hold, as the `data` of some functions.

    `convert`, `compensate`, `select_bases`, `scores.bases` and
    `scores.summarize_outputs` take it in place of arrays, and compute with Apache Beam
    where the samples are: workers load the model, read shards of the source, and sum up
    means and Gram matrices, which add up to those of all samples, to 1e-9, however they
    are divided. Only these sums travel. If a worker dies, its shards are computed by
    another one, and counted once.

    Raises `ImportError` if Apache Beam is not installed, and `ValueError` if a value
    is not valid.

    Attributes:
        source: The path of a folder of images, or of an `.npz`, `.npy` or `.tfrecord`
            file, or a list of such paths, which every worker can read: pixels of 0 to
            255, brought to the size of the model's input. Or a `beam.PTransform` that
            gives batches when a pipeline is piped into it, the same ones each time:
            arrays as the model takes them, or lists of them, one per input.
        work_dir: Folder that every worker can read and write, for the model (a
            `.keras` file, which stays there) and results.
        image_size: Integer or `(height, width)` that images are brought to, for a model
            that takes any size.
        imports: Names of modules that workers import before they load the model, since
            they register its layers, say.
        shard_size: Integer, images per shard; TFRecord files are not divided.
        options: `apache_beam.options.pipeline_options.PipelineOptions`, which say where
            pipelines run; `None` for this process.
        runner: A runner, or its name, instead of that in `options`.
        retries: Integer, how often a pipeline that fails is run again.

    Example:

    >>> options = PipelineOptions(["--runner=FlinkRunner", "--flink_master=host:8081"])
    >>> photos = keras_basisprune.data.BeamSource(
    ...     "/net/photos", work_dir="/net/work", options=options)
    >>> converted = keras_basisprune.convert(model, keep=0.15, data=photos)
    """

    source: Any
    _: dataclasses.KW_ONLY
    work_dir: Path
    image_size: int | tuple[int, int] | None = None
    imports: Sequence[str] = ()
    shard_size: int = 10_000
    options: Any = None
    runner: Any = None
    retries: int = 2

    def __post_init__(self):
        beam = imported_beam("BeamSource")
        check_path("work_dir", self.work_dir, "folder")
        checked_image_size(self.image_size)
        check_whole("shard_size", self.shard_size)
        check_whole("retries", self.retries, 0)
        kind = beam.options.pipeline_options.PipelineOptions
        if self.options is not None and not isinstance(self.options, kind):
            raise ValueError(
                "Expected `options` to be `PipelineOptions` of Apache Beam. Received: "
                f"options={type(self.options).__name__}. Pass "
                "`PipelineOptions(['--runner=FlinkRunner'])`, say, or leave it out."
            )
