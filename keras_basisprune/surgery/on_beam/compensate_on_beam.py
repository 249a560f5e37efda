"""Prunes channels and corrects the layers that read them, on many machines."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.plan import Plan
from keras_basisprune.surgery._compensation import Compensation
from keras_basisprune.surgery.compensate import check_compensated, dtype_for
from keras_basisprune.surgery.on_beam._layer_work import Draw, SumUp, write_weights
from keras_basisprune.surgery.on_beam._passes import passes
from keras_basisprune.surgery.prune import pruned_calls
from keras_basisprune.utils.files import staged
from keras_basisprune.utils.types import Path


def compensate_on_beam(
    model: keras.Model,
    plan: Plan,
    source: Any,
    *,
    work_dir: Path,
    ridge: float | None = None,
    image_size: int | tuple[int, int] | None = None,
    imports: Sequence[str] = (),
    shard_size: int = 10_000,
    options: Any = None,
    runner: Any = None,
    retries: int = 2,
) -> keras.Model:
    """Does what `compensate` does, as Apache Beam pipelines.

    Layers are fitted on what the corrected layers before them deliver, so the source
    is read once for all layers that don't depend on each other, and once before, to
    count samples and divide them into folds: a chain of `L` layers behind the first
    one that loses channels takes `L + 1` passes. In each, workers run the original and
    the pruned model up to those layers, and merge sums of `n (n + cout)` numbers per
    layer and fold (`n = kh kw cin`; five folds, two from 256 inputs on). In all, that
    is about `L` forward passes of one network per image. The more images there are,
    the fewer positions of each map are used (30,000 in all, at least one per image);
    what grows with the source is one number of 4 bytes per image.

    Sums equal those of `compensate` with the same images (float32) to 1e-9, and so does
    the network, up to the rounding of its weights.

    Args:
        model: As for `compensate`. Workers load it from a `.keras` file.
        plan: As for `compensate`.
        source: As for `scores.summarize_outputs_on_beam`: a path, a list of paths, or a
            `beam.PTransform` that gives the same batches each time.
        work_dir: Folder that every worker can read and write.
        ridge: As for `compensate`.
        image_size: Integer or `(height, width)` that images are brought to, for a model
            that takes any size.
        imports: Names of modules that workers import before they load the model.
        shard_size: Integer, images per shard; TFRecord files are not divided.
        options: `PipelineOptions`, which say where pipelines run; `None` for this
            process.
        runner: A runner, or its name, instead of that in `options`.
        retries: Integer, how often a pipeline that fails is run again.

    Returns:
        A smaller Functional `keras.Model`, not compiled.

    Raises:
        ImportError: Apache Beam is not installed.
        ValueError: As `compensate` raises it; or the source holds no sample.

    Example:

    >>> small = keras_basisprune.surgery.compensate_on_beam(
    ...     model, plan, "/net/photos", work_dir="/net/work", options=options)
    """
    ridge = check_compensated(model, plan, ridge)
    place = BeamSource(
        "compensate_on_beam",
        model,
        source,
        work_dir,
        samples_at_once(model),
        image_size=image_size,
        shard_size=shard_size,
        options=options,
        runner=runner,
        retries=retries,
    )
    pruned_calls(model, plan)  # raises if it does not fit
    of_workers = WorkerModel(model, place.folder, imports)
    # Loaded as workers load it, so that weights come in their order.
    done = pruned_calls(of_workers.load(), plan)
    both = Compensation(done, ridge, exact=True)
    groups = passes(done, both.old.calls)
    if not groups:
        return done.model
    drawn = place.merged(Draw(of_workers))
    count, limits = MapPositions.most(len(drawn.all())), drawn.limits()
    path = place.folder / "pruned.npz"
    given = of_workers, plan.to_json(), str(path)
    rest = count, limits, np.dtype(dtype_for(ridge)).name
    try:
        for positions in groups:
            with staged(path) as stage:
                write_weights(stage, done.model)
            found = place.merged(SumUp(*given, tuple(positions), *rest))
            for position, folds in sorted(found.folds.items()):
                both.correct(position, folds)
    finally:
        path.unlink(missing_ok=True)
    return done.model
