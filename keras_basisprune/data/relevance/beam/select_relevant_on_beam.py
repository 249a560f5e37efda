"""Selects the part of a source that is like a target, on many machines."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.checked_image_size import checked_image_size
from keras_basisprune.data.on_beam.imported_beam import imported_beam
from keras_basisprune.data.relevance.beam.shard_files import ShardFiles
from keras_basisprune.data.relevance.beam.shards import shards_of
from keras_basisprune.data.relevance.encoder_fingerprint import encoder_fingerprint
from keras_basisprune.data.relevance.feature_extractor import check_encoder
from keras_basisprune.data.relevance.fit_scorer import target_rows
from keras_basisprune.data.relevance.moments import Moments
from keras_basisprune.data.relevance.relevance import METHODS, Relevance
from keras_basisprune.data.relevance.select_relevant import (
    check_clusters,
    check_scikit_learn,
    make_extractor,
)
from keras_basisprune.data.relevance.stored_features import FeatureStore
from keras_basisprune.data.relevance.streams.open_stream import open_stream
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.files import save_model
from keras_basisprune.utils.types import Data, Path


def select_relevant_on_beam(
    source: Path | list[Path],
    target: Data,
    encoder: keras.Model,
    *,
    keep: float,
    work_dir: Path,
    method: str = "clusters",
    clusters: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    imports: Sequence[str] = (),
    shard_size: int = 10_000,
    options: Any = None,
    runner: Any = None,
    retries: int = 2,
) -> Relevance:
    """Does what `select_relevant` does, as an Apache Beam pipeline.

    The target's features are computed here, centres or classifiers by one worker.
    Workers compute features of shards of the source, merge their means and deviations,
    and write scores, one file per shard, complete or not at all: a shard that is
    computed twice, because a worker died, has the same file and is counted once. If a
    run fails, the shards that are finished stay in `work_dir` and are not computed
    again.

    Scores equal those of `select_relevant` to 1e-6 with the same `batch_size`.

    Args:
        source: The path of a folder of images, or of an `.npz`, `.npy` or `.tfrecord`
            file, or a list of such paths. Every worker must be able to read it.
        target: As for `select_relevant`.
        encoder: As for `select_relevant`. Workers load it from a `.keras` file.
        keep: Float in (0, 1], the share of the source to keep.
        work_dir: Folder that every worker can write to, for features and scores.
        method: `"clusters"`, `"domain"` or `"random"`.
        clusters: Integer, the number of centres, or `None`, as for `select_relevant`.
        image_size: As for `select_relevant`.
        seed: Integer, seed of centres, samples and random scores.
        batch_size: Integer, images at a time; `None` chooses by the encoder's input.
        imports: Names of modules that workers import before they load the encoder,
            since they register its layers, say.
        shard_size: Integer, images per shard; TFRecord files are not divided.
        options: `apache_beam.options.pipeline_options.PipelineOptions`, which say where
            the pipeline runs; `None` for this process.
        runner: A runner, or its name, instead of that in `options`.
        retries: Integer, how often a pipeline that fails is run again.

    Returns:
        A `Relevance`.

    Raises:
        ImportError: Apache Beam or scikit-learn is not installed.
        ValueError: An argument is not valid.

    Example:

    >>> options = PipelineOptions(["--runner=FlinkRunner", "--flink_master=host:8081"])
    >>> relevance = select_relevant_on_beam(
    ...     "/net/photos", "/net/birds.npz", encoder, keep=0.12, work_dir="/net/work",
    ...     options=options)
    """
    keep = check_number("keep", keep, "(0, 1]", remedy="Pass 0.12, say.")
    check_choice("method", method, METHODS)
    seed = check_whole("seed", seed, 0)
    size = checked_image_size(image_size)
    if clusters is not None:
        clusters = check_whole("clusters", clusters, remedy="Pass 10, say, or None.")
    if batch_size is not None:
        batch_size = check_whole("batch_size", batch_size)
    shard_size = check_whole("shard_size", shard_size)
    retries = check_whole("retries", retries, 0)
    folder = check_path("work_dir", work_dir, "folder").absolute()
    check_scikit_learn()
    beam = imported_beam("select_relevant_on_beam")
    from keras_basisprune.data.relevance.beam.scoring_pipeline import scoring_pipeline

    check_encoder(encoder)
    shards = shards_of(source, encoder, shard_size)
    wanted = open_stream("target", target, encoder)
    extractor = make_extractor(encoder, wanted, batch_size, size)
    settings = f"{size} {extractor.shape} {extractor.batch_size}"
    with FeatureStore(extractor, encoder, folder / "target", settings) as store:
        features = store.features("target", wanted, False).values
        check_clusters(clusters, len(features))
        rows, moments = target_rows(features, seed), Moments.of(features)
    path = folder / "encoder.keras"
    save_model(encoder, path)
    files = ShardFiles(folder, f"{encoder_fingerprint(encoder)} {settings}")
    build = functools.partial(
        scoring_pipeline,
        shards=shards,
        files=files,
        target=rows,
        moments=moments,
        worker={
            "imports": tuple(imports),
            "encoder": str(path),
            "batch_size": extractor.batch_size,
            "image_size": size,
            "first": extractor.shape,
        },
        options={"method": method, "clusters": clusters, "seed": seed},
    )
    for attempt in range(retries + 1):
        try:
            with beam.Pipeline(runner=runner, options=options) as pipeline:
                build(pipeline)
            break
        except Exception:  # of any runner, or of a worker that has died
            if attempt == retries:
                raise
    return _merged(method, keep, shards, files)


def _merged(method, keep, shards, files) -> Relevance:
    """Puts the scores of all shards into the order of the source."""
    names, skipped = [], []
    for shard in shards:
        for found, own in zip((names, skipped), files.names(shard), strict=True):
            found += own
    scores = np.concatenate([files.scores(shard) for shard in shards])
    return Relevance(method, keep, scores, tuple(names), tuple(skipped))
