"""The pipelines that sum up what work on a source gives."""

import copy
import pathlib
import pickle
import uuid

from keras_basisprune.data.checked_image_size import checked_image_size
from keras_basisprune.data.on_beam.imported_beam import imported_beam
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.data.relevance.beam.shards import shards_of
from keras_basisprune.data.relevance.streams.open_stream import takes_images
from keras_basisprune.data.samples_at_once import samples_at_once


class BeamRuns:
    """Runs pipelines over a `BeamSource`, for one model.

    Args:
        model: The `keras.Model` that reads it.
        source: A `BeamSource`.

    Attributes:
        folder: The `pathlib.Path` that workers share; it is there.
        model: The `WorkerModel`, which is written there.

    Raises:
        ValueError: If the source can't be read for the model, or workers can't load it.
    """

    def __init__(self, model, source):
        beam = imported_beam("BeamSource")
        self.folder = pathlib.Path(source.work_dir).absolute()
        self._source, self._shape = source, None
        self._image_size = checked_image_size(source.image_size)
        self._batch_size, given = samples_at_once(model), source.source
        if isinstance(given, beam.PTransform):
            # A transform belongs to the one pipeline that it was piped into.
            self._elements = lambda: copy.deepcopy(given)
        else:
            if takes_images(model):
                self._shape = _image_shape(model, self._image_size)
            shards = shards_of(given, model, source.shard_size)
            self._elements = lambda: beam.Create(shards) | beam.Reshuffle()
        self.model = WorkerModel(model, self.folder, source.imports)

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

        path = self.folder / f"merged-{uuid.uuid4().hex}.pickle"
        fit = self._batch_size, self._shape, self._image_size
        given = {"runner": self._source.runner, "options": self._source.options}
        retries = self._source.retries
        try:
            for attempt in range(retries + 1):
                try:
                    with beam.Pipeline(**given) as pipeline:
                        merging_pipeline(pipeline, self._elements(), work, fit, path)
                    break
                except Exception:  # of any runner, or of a worker that has died
                    if attempt == retries:
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
