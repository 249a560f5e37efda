"""Few distinct weights by TensorFlow Model Optimization."""

import functools

import keras

from keras_basisprune.export.tfmot._fine_tuning import fine_tuning
from keras_basisprune.export.tfmot._packages import load_tf_keras, load_tfmot
from keras_basisprune.export.tfmot._restored import restored
from keras_basisprune.export.tfmot._with_wrapped import with_wrapped
from keras_basisprune.utils.check_whole import check_whole
from keras_basisprune.utils.types import Data, Verbose


def cluster_weights(
    model: keras.Model,
    train: Data,
    *,
    clusters: int = 16,
    epochs: int = 3,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    seed: int = 0,
    verbose: Verbose = "auto",
) -> keras.Model:
    """Replaces the weights of each layer by a few values, which are trained, by TFMOT.

    No layer and no file becomes smaller by itself: the file compresses well (`gzip`),
    to about 4 bits per weight with 16 clusters. Kernels of `Conv2D`, `Dense` and other
    layers are clustered, per layer, started by k-means++; those of depthwise
    convolutions are not (TFMOT: "big unrecoverable accuracy loss"), nor those of layers
    with fewer weights than clusters.

    Args:
        model: A built Functional or Sequential `keras.Model` that can cross
            (`to_tf_keras`). It is not changed.
        train: What `fit` takes: `(x, y)`, or a dataset of such batches; or images
            alone, to train towards the answers that the model itself gives before.
        clusters: Number of distinct values in the kernel of a layer, from 2.
        epochs: Number of epochs.
        learning_rate: Rate of Adam in the first step; it falls to zero by a cosine.
        batch_size: Samples per step.
        seed: Integer that determines the order of the samples.
        verbose: As in `keras.Model.fit`.

    Returns:
        A new `keras.Model`, not compiled, flat, with the inputs and outputs of `model`.

    Raises:
        ValueError: If an argument is out of its range, TFMOT is not installed, a layer
            can't cross, or there is no layer to cluster.

    Example:

    >>> clustered = kbp.export.tfmot.cluster_weights(model, (images, labels))
    >>> kbp.export_tflite(clustered, "clustered.tflite")
    """
    clusters = check_whole("clusters", clusters, 2, 2**16, "Start with 16.")
    training = fine_tuning(
        model,
        train,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        verbose=verbose,
    )
    tfmot = load_tfmot()
    crossed = training.crossed()
    names = {x.name for x in crossed.layers if _clusterable(x, clusters)}
    if not names:
        raise ValueError(
            "Expected `model` to have a trainable convolution or Dense layer of more "
            f"weights than `clusters`. Received: model={model.name!r}, "
            f"clusters={clusters}. Pass fewer."
        )
    options = tfmot.clustering.keras

    wrap = functools.partial(
        options.cluster_weights,
        number_of_clusters=clusters,
        cluster_centroids_init=options.CentroidInitialization.KMEANS_PLUS_PLUS,
    )
    clustered = with_wrapped(crossed, names, wrap)
    training.fit(clustered)
    return restored(model, options.strip_clustering(clustered))


def _clusterable(layer, clusters) -> bool:
    """Returns whether a layer of `tf_keras` has a kernel to cluster."""
    layers = load_tf_keras().layers
    kinds = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense)
    kinds += (layers.Conv2DTranspose,)
    if type(layer) not in kinds or not layer.trainable:
        return False
    return int(layer.kernel.shape.num_elements()) > clusters
