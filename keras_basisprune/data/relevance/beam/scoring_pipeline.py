"""The steps of the pipeline; the one module that imports Apache Beam at once."""

import importlib

import apache_beam as beam
import keras
import numpy as np
from apache_beam.utils.shared import Shared

from keras_basisprune.data.relevance.feature_extractor import FeatureExtractor
from keras_basisprune.data.relevance.fit_scorer import drawn_rows, fit_scorer
from keras_basisprune.data.relevance.moments import Moments, blocks


def scoring_pipeline(pipeline, shards, files, target, moments, *, worker, options):
    """Adds the steps that write the scores of all shards.

    Args:
        pipeline: A `beam.Pipeline`.
        shards: A list of `Shard`.
        files: The `ShardFiles`.
        target: float32 array of shape `(n, features)`, what `target_rows` returns.
        moments: `Moments` of all features of the target.
        worker: Dict of what workers make their `FeatureExtractor` of: names of modules
            to import (`imports`), the path of the `encoder`, `batch_size`, `image_size`
            and `first`.
        options: Dict of `method`, `clusters` and `seed`, for `fit_scorer`.
    """
    written = (
        pipeline
        | "Shards" >> beam.Create(shards)
        | "Spread" >> beam.Reshuffle()
        | "Features" >> beam.ParDo(_WriteFeatures(files, worker))
    )
    counts = beam.pvalue.AsDict(
        written | "Count" >> beam.Map(lambda pair: (pair[0].number, pair[1].count))
    )
    of_source = (
        written
        | "Moments" >> beam.Map(lambda pair: pair[1])
        | "Merge" >> beam.CombineGlobally(_MergeMoments())
    )
    drawn = (
        written
        | "Draw" >> beam.ParDo(_DrawRows(files, options), counts)
        | "Gather" >> beam.CombineGlobally(_GatherRows())
    )
    scorer = (
        pipeline
        | "Once" >> beam.Create([target])
        | "Fit"
        >> beam.Map(
            _fitted,
            moments,
            beam.pvalue.AsSingleton(of_source),
            beam.pvalue.AsSingleton(drawn),
            options,
        )
    )
    written | "Scores" >> beam.Map(
        _write_scores, files, beam.pvalue.AsSingleton(scorer), counts
    )


class _WriteFeatures(beam.DoFn):
    """Writes features of shards; the encoder is loaded once per process."""

    def __init__(self, files, worker):
        self._files, self._worker = files, worker
        self._shared = Shared()

    def setup(self):
        self._extractor = self._shared.acquire(self._load)

    def process(self, shard):
        self._files.write_features(shard, lambda: self._extractor)
        yield shard, Moments.of(self._files.features(shard))

    def _load(self):
        options = dict(self._worker)
        for name in options.pop("imports"):
            importlib.import_module(name)
        encoder = keras.models.load_model(options.pop("encoder"))
        return FeatureExtractor(encoder, **options)


class _MergeMoments(beam.CombineFn):
    def create_accumulator(self):
        return Moments()

    def add_input(self, accumulator, moments):
        return accumulator + moments

    def merge_accumulators(self, accumulators):
        return sum(accumulators, Moments())

    def extract_output(self, accumulator):
        return accumulator


class _DrawRows(beam.DoFn):
    """Yields positions and features of the samples that a classifier is trained on."""

    def __init__(self, files, options):
        self._files, self._options = files, options

    def process(self, pair, counts):
        shard, moments = pair
        if self._options["method"] != "domain" or not moments.count:
            return
        drawn = drawn_rows(sum(counts.values()), self._options["seed"])
        start = _start(shard, counts)
        first, last = np.searchsorted(drawn, (start, start + moments.count))
        if first < last:
            rows = self._files.features(shard)[drawn[first:last] - start]
            yield start, np.asarray(rows)


class _GatherRows(beam.CombineFn):
    """Puts rows into the order of the source."""

    def create_accumulator(self):
        return []

    def add_input(self, accumulator, rows):
        return [*accumulator, rows]

    def merge_accumulators(self, accumulators):
        return [rows for some in accumulators for rows in some]

    def extract_output(self, accumulator):
        if not accumulator:
            return None
        return np.concatenate([rows for _, rows in sorted(accumulator, key=_first)])


def _first(pair):
    return pair[0]


def _start(shard, counts):
    """Returns the position of a shard's first image in the source."""
    return sum(count for number, count in counts.items() if number < shard.number)


def _fitted(target, moments, of_source, drawn, options):
    count = of_source.count
    if not count:
        raise ValueError(
            "Expected `source` to hold at least one image. Received: none that can be "
            "read. Check the files."
        )
    return fit_scorer(
        target=target,
        moments=of_source + moments,
        rows=lambda _: drawn,
        count=count,
        **options,
    )


def _write_scores(pair, files, scorer, counts):
    shard, moments = pair
    start = _start(shard, counts)
    rows = blocks(files.features(shard))
    found = [scorer(block, start + place) for place, block in rows]
    files.write_scores(shard, np.concatenate([*found, np.empty(0)]))
