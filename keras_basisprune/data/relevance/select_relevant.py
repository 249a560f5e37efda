"""Selects the part of a source that is like a target."""

import keras
import numpy as np

from keras_basisprune.data.checked_image_size import checked_image_size
from keras_basisprune.data.relevance.feature_extractor import (
    FeatureExtractor,
    check_encoder,
)
from keras_basisprune.data.relevance.fit_scorer import fit_scorer, target_rows
from keras_basisprune.data.relevance.moments import Moments, blocks
from keras_basisprune.data.relevance.random_scorer import RandomScorer
from keras_basisprune.data.relevance.relevance import METHODS, Relevance
from keras_basisprune.data.relevance.stored_features import FeatureStore
from keras_basisprune.data.relevance.streams.image_files import ImageFiles
from keras_basisprune.data.relevance.streams.open_stream import (
    first_arrays,
    open_stream,
    takes_images,
)
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_path import check_path
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data, Path, Verbose


def select_relevant(
    source: Data,
    target: Data,
    encoder: keras.Model,
    *,
    keep: float,
    method: str = "clusters",
    clusters: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    cache_dir: Path | None = None,
    verbose: Verbose = "auto",
) -> Relevance:
    """Ranks the images of a source by how relevant they are for a target.

    Pre-training on a small, relevant part of a large source takes a fraction of the
    time and loses little (Chakraborty et al. 2020, "Efficient Conditional Pre-training
    for Transfer Learning", https://arxiv.org/abs/2011.10231). Labels are ignored.

    Features are the outputs of `encoder`. Ways to rank:
    - `"clusters"`: by the distance to the nearest of the centres that k-means finds
      among the target's features, which are divided by their standard deviations (over
      source and target) and then by their length. Centres are found on 20,000 images at
      most;
    - `"domain"`: by a logistic regression that tells the target from the source. It is
      trained on 20,000 images of each at most, and no image is scored by a classifier
      that was trained on it;
    - `"random"`: by chance, the control; the encoder is not run.

    Time: one pass of the encoder over source and target. Memory does not grow with the
    source, apart from scores and names: images are read some at a time, and features,
    `4 * n * features` bytes, are in files.

    Args:
        source: The images to choose from, in any form:
            - an array `(n, height, width, channels)` or `(n, height, width)`, also a
              memory-mapped one; `(images, labels)`; what `load_data` returns (its
              training images);
            - a `tf.data.Dataset`, `keras.utils.PyDataset` or iterable of batches or of
              single samples, which must come in the same order each time;
            - the path of a folder, whose image files (or those of its folder `train`)
              may be of any size; of an `.npz` file with `x_train` or `x`; of an `.npy`
              file; or of a `.tfrecord` file of encoded images;
            - a builder of TensorFlow Datasets, `"tfds:NAME"` (the training split of
              both), or `"digits"`.

            Files give pixels in [0, 255], others their values as they are. An encoder
            with several inputs, or inputs that are not images, takes arrays, lists or
            dicts of them, and datasets.
        target: Images of the task that comes after pre-training, in any of these
            forms. Some hundred are enough.
        encoder: A built `keras.Model` with outputs of shape `(batch, features)`, or
            maps of features, which are averaged. Preprocessing must be part of it.
            Images of other sizes are resized to its input's; if it takes any size, to
            the size of the target's first image.
        keep: Float in (0, 1], the share of the source to keep.
        method: `"clusters"`, `"domain"` or `"random"`.
        clusters: Integer, the number of centres; `None` for 10, or fewer for a target
            of fewer images.
        image_size: `(height, width)` or an integer, to which images are brought before
            anything else: what a network would see that is pre-trained at this size.
        seed: Integer, seed of centres, samples and random scores.
        batch_size: Integer, images at a time; `None` chooses by the encoder's input.
        cache_dir: Folder that keeps the features, so that another call with the same
            encoder and data does not compute them again. Arrays, datasets and iterables
            are known by their contents (for which they are read once more), files by
            name, size and time of change. `None` for a temporary folder.
        verbose: `"auto"`, 0, 1 or 2; 0 shows no progress bar.

    Returns:
        A `Relevance`: indices of the kept images, best first, and scores of all.

    Raises:
        ImportError: scikit-learn is needed and not installed.
        ValueError: An argument is not valid, data are empty or endless, or come in
            another order when they are read again.

    Example:

    >>> relevance = kbp.data.select_relevant(x_source, x_target, encoder, keep=0.12)
    >>> x, y = x_source[relevance.indices], y_source[relevance.indices]
    >>> relevance.save("relevance.json")
    """
    keep = check_number("keep", keep, "(0, 1]", remedy="Pass 0.12, say.")
    check_choice("method", method, METHODS)
    seed = check_whole("seed", seed, 0)
    size = checked_image_size(image_size)
    if clusters is not None:
        clusters = check_whole("clusters", clusters, remedy="Pass 100, say, or None.")
    if batch_size is not None:
        batch_size = check_whole("batch_size", batch_size)
    if cache_dir is not None:
        cache_dir = check_path("cache_dir", cache_dir, "folder")
    bar = check_verbose(verbose)
    check_scikit_learn()
    check_encoder(encoder)
    read = open_stream("source", source, encoder)
    wanted = open_stream("target", target, encoder)
    if method == "random":
        return _at_random(read, keep, seed)
    extractor = make_extractor(encoder, wanted, batch_size, size)
    settings = f"{size} {extractor.shape}"
    with FeatureStore(extractor, encoder, cache_dir, settings) as store:
        of_target = store.features("target", wanted, bar)
        check_clusters(clusters, len(of_target.values))
        of_source = store.features("source", read, bar)
        scores = _scores(of_source.values, of_target.values, method, clusters, seed)
        return Relevance(method, keep, scores, of_source.names, of_source.skipped)


def _at_random(source, keep, seed) -> Relevance:
    """Returns random scores of all images that can be read."""
    names, skipped, count = [], [], source.count
    if count is None or isinstance(source, ImageFiles):
        count = 0
        for arrays, own in source.read(skipped):
            names += own
            count += len(arrays[0])
    scores = RandomScorer(seed)(range(count), 0)
    return Relevance("random", keep, scores, tuple(names), tuple(skipped))


def make_extractor(encoder, target, batch_size, image_size) -> FeatureExtractor:
    """Returns the `FeatureExtractor` for the images of a target.

    Args:
        encoder: The `keras.Model`.
        target: The stream of the target, whose first image is read.
        batch_size: Integer, or `None` to choose it by the encoder's input.
        image_size: `(height, width)` or `None`.
    """
    known = getattr(encoder, "inputs", None)
    batch_size = batch_size or (samples_at_once(encoder) if known else 32)
    first = None
    if takes_images(encoder):
        first = first_arrays(target)[0].shape[1:]
    return FeatureExtractor(encoder, batch_size, image_size, first)


def check_clusters(clusters, count):
    """Raises `ValueError` if there are more clusters than images of the target."""
    if clusters is not None and clusters > count:
        raise ValueError(
            "Expected `clusters` to be at most the number of target images. Received: "
            f"clusters={clusters} and {count} images. Pass {min(10, count)}, say."
        )


def _scores(source, target, method, clusters, seed):
    score = fit_scorer(
        method,
        target_rows(target, seed),
        Moments.of(source) + Moments.of(target),
        lambda rows: source[rows],
        count=len(source),
        clusters=clusters,
        seed=seed,
    )
    return np.concatenate([score(block, start) for start, block in blocks(source)])


def check_scikit_learn():
    """Raises `ImportError` unless scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Selecting relevant images needs scikit-learn, which is not installed. "
            "Run: pip install scikit-learn"
        ) from error
