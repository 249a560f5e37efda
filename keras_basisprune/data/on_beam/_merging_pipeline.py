"""The steps of the pipeline; one of the modules that import Apache Beam at once."""

import logging
import pickle
import threading

import apache_beam as beam
import numpy as np
from apache_beam.utils.shared import Shared

from keras_basisprune.data.relevance.beam.shards import Shard
from keras_basisprune.data.relevance.fitted_batches import fitted_batches
from keras_basisprune.utils.files import staged


def merging_pipeline(pipeline, elements, work, fit, path):
    """Adds the steps that write the sum of what work gives, pickled.

    Args:
        pipeline: A `beam.Pipeline`.
        elements: A `PTransform` from it to `Shard`s, or to batches.
        work: As in `BeamRuns.merged`.
        fit: Triple of the batch size, and shape and size of images, or `None`.
        path: The `pathlib.Path` of the file.
    """
    (
        pipeline
        | "Source" >> elements
        | "Work" >> beam.ParDo(_Work(work, fit))
        | "Merge" >> beam.CombineGlobally(_Merge())
        | "Write" >> beam.Map(_write, path)
    )


class _Work(beam.DoFn):
    """Gives a value for each element; the model is loaded once per process."""

    def __init__(self, work, fit):
        self._work, self._fit = work, fit
        self._shared = Shared()

    def setup(self):
        self._started = self._shared.acquire(lambda: _Started(self._work.start()))

    def process(self, element):
        batch_size, *size = self._fit
        skipped: list[str] = []
        if isinstance(element, Shard):
            pairs = element.stream.read(skipped)
        else:
            arrays = element if isinstance(element, list | tuple) else [element]
            pairs = [([np.asarray(array) for array in arrays], ())]
        if (
            found := self._started(fitted_batches(pairs, batch_size, *size))
        ) is not None:
            yield found
        if skipped:
            text = "Images that can't be read were left out: %d, for example %s"
            logging.getLogger(__name__).warning(text, len(skipped), skipped[0])


class _Started:
    """What a process has started, for one thread after the other."""

    def __init__(self, function):
        self._function, self._lock = function, threading.Lock()

    def __call__(self, batches):
        with self._lock:
            first = next(batches, None)
            if first is None:
                return None
            return self._function(_chained(first, batches))


def _chained(first, rest):
    yield first
    yield from rest


class _Merge(beam.CombineFn):
    def create_accumulator(self):
        return None

    def add_input(self, accumulator, value):
        return value if accumulator is None else accumulator + value

    def merge_accumulators(self, accumulators):
        total = None
        for found in accumulators:
            if found is not None:
                total = found if total is None else total + found
        return total

    def extract_output(self, accumulator):
        return accumulator


def _write(value, path):
    with staged(path) as stage:
        stage.write_bytes(pickle.dumps(value))
