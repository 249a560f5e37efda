"""What a worker has to know of a search."""

import dataclasses
import io
import mmap
from typing import Any

import keras
import numpy as np

from keras_basisprune.search.metrics.custom_metric import CustomMetric


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialCall:
    """What a worker has to know of a search, to cut and judge networks.

    Attributes:
        objects: Dict of classes and functions by name, without which the network could
            not be loaded.
        images: Unlabelled samples, for cutting: an array, or a list of one per input.
        validation: `ArrayExamples` or `StreamExamples`, on which networks are judged.
        metric: The `Measure` or `CustomMetric` by which they are.
        outputs: The `Output`s of the model.
        constants: List of arrays, the mean of each output.
        cost: The kind of cost that is made small.
        ship: The form of file in which they are judged, or `None`.
        calibrate: Whether int8 files have to be calibrated, see `Shipped`.
        labels: Names of the classes, or `None`.
        methods: The `Method`s by which networks are cut.
        cut_options: `CutOptions`.
        least: Float, the score that is good enough, times the sign of the metric.
        margin: As in `SearchOptions`.
        seed: Integer.
    """

    objects: dict[str, Any]
    images: Any
    validation: Any
    metric: Any
    outputs: tuple
    constants: list
    cost: str
    ship: str | None
    calibrate: bool
    labels: Any
    methods: tuple
    cut_options: Any
    least: float
    margin: float
    seed: int

    @property
    def reads_validation(self) -> bool:
        """Whether the metric needs samples only, not what the user has passed."""
        return not isinstance(self.metric, CustomMetric)

    def pickled(self) -> bytes:
        """Returns this record as bytes, for `pickle.loads` in another process.

        Raises:
            ValueError: If it holds something that can't be passed to another process.
        """
        written = io.BytesIO()
        try:
            _pickler()(written).dump(self)
        except Exception as error:  # whatever the user's objects raise
            raise ValueError(
                "Expected data, metrics and methods that can be passed to other "
                "processes when `workers` is more than 1. Received: one that can't be "
                f"pickled ({type(error).__name__}: {error}). Pass functions without "
                "locks or connections; for a metric of your own, arrays or a "
                "`keras.utils.PyDataset` as `validation`; or workers=1."
            ) from error
        return written.getvalue()


def _pickler():
    """Returns a pickler that knows functions of scripts, and metrics of Keras."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, thing):
            if isinstance(thing, keras.metrics.Metric):
                return _metric, (type(thing), thing.get_config())
            if _is_whole_file(thing):
                return np.load, (str(thing.filename), "r")
            return super().reducer_override(thing)

    return Pickler


def _is_whole_file(thing) -> bool:
    """Returns whether an array is that of an `.npy` file, mapped to memory."""
    mapped = isinstance(thing, np.memmap) and isinstance(thing.base, mmap.mmap)
    return mapped and str(thing.filename).endswith(".npy") and thing.offset > 0


def _metric(kind, config):
    return kind.from_config(config)
