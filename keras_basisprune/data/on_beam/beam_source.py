"""A source on many machines, and the sum of what work on it gives."""

import copy
import pickle
import uuid

from keras_basisprune.data.checked_image_size import checked_image_size
from keras_basisprune.data.on_beam.imported_beam import imported_beam
from keras_basisprune.data.relevance.beam.shards import shards_of
from keras_basisprune.data.relevance.streams.open_stream import takes_images
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_whole import check_whole


class BeamSource:
    """A source that workers read, and where the pipelines over it run.

    Args:
        who: Name of the public function, for messages.
        model: The `keras.Model` that reads it.
        source: A path of a folder of images, or of an `.npz`, `.npy` or `.tfrecord`
            file, or a list of such paths; or a `beam.PTransform` that gives batches
            (arrays, or lists of one array per input) when a pipeline is piped into it.
        work_dir: Folder that every worker can read and write.
        batch_size: Integer, samples at a time.
        image_size: `(height, width)` that images are brought to first, or `None`.
        shard_size: Integer, images per shard.
        options: `PipelineOptions`, or `None`.
        runner: A runner, its name, or `None`.
        retries: Integer, how often a pipeline that fails is run again.

    Raises:
        ImportError: Apache Beam is not installed.
        ValueError: An argument is not valid.
    """

    def __init__(
        self,
        who,
        model,
        source,
        work_dir,
        batch_size,
        *,
        image_size=None,
        shard_size=10_000,
        options=None,
        runner=None,
        retries=2,
    ):
        beam = imported_beam(who)
        self.folder = check_path("work_dir", work_dir, "folder").absolute()
        shard_size = check_whole("shard_size", shard_size)
        self._retries = check_whole("retries", retries, 0)
        self._image_size = checked_image_size(image_size)
        self._options, self._runner = options, runner
        self._batch_size, self._shape = batch_size, None
        _check_options(beam, options)
        if isinstance(source, beam.PTransform):
            # A transform belongs to the one pipeline that it was piped into.
            self._elements = lambda: copy.deepcopy(source)
            return
        if takes_images(model):
            self._shape = _image_shape(model, self._image_size)
        shards = shards_of(source, model, shard_size)
        self._elements = lambda: beam.Create(shards) | beam.Reshuffle()

    def merged(self, work):
        """Runs work on all samples, and returns the sum of what it gives.

        Args:
            work: Has `start()`, called once per process, which returns a function that
                takes an iterable of lists of arrays, one per input of the model, and
                returns a value that can be pickled, and added (`+`) to others. Can be
                pickled itself.

        Raises:
            ValueError: If there is no sample.
        """
        import apache_beam as beam

        from keras_basisprune.data.on_beam._merging_pipeline import merging_pipeline

        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"merged-{uuid.uuid4().hex}.pickle"
        fit = self._batch_size, self._shape, self._image_size
        try:
            for attempt in range(self._retries + 1):
                try:
                    given = {"runner": self._runner, "options": self._options}
                    with beam.Pipeline(**given) as pipeline:
                        merging_pipeline(pipeline, self._elements(), work, fit, path)
                    break
                except Exception:  # of any runner, or of a worker that has died
                    if attempt == self._retries:
                        raise
            # A file of this run, with a name that nobody could know before.
            found = pickle.loads(path.read_bytes())
        finally:
            path.unlink(missing_ok=True)
        if found is None:
            raise ValueError(
                "Expected `source` to hold at least one sample. Received: none that "
                "can be read. Check the files."
            )
        return found


def _check_options(beam, options):
    kind = beam.options.pipeline_options.PipelineOptions
    if options is not None and not isinstance(options, kind):
        raise ValueError(
            "Expected `options` to be `PipelineOptions` of Apache Beam. Received: "
            f"options={type(options).__name__}. Pass "
            "`PipelineOptions(['--runner=FlinkRunner'])`, say, or leave it out."
        )


def _image_shape(model, image_size):
    """Returns the shape of the images that the model gets."""
    *size, channels = model.inputs[0].shape[1:]
    size = [own or given for own, given in zip(size, image_size or size, strict=True)]
    if None in size:
        raise ValueError(
            "Expected `image_size` for a model that takes images of any size. "
            "Received: image_size=None. Pass image_size=(224, 224), say."
        )
    return *size, channels or 3
