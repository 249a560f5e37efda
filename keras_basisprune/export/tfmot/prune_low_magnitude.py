"""Zeros among the weights by TensorFlow Model Optimization."""

import functools
import warnings

import keras

from keras_basisprune.export.tfmot._fine_tuning import fine_tuning
from keras_basisprune.export.tfmot._packages import load_tf_keras, load_tfmot
from keras_basisprune.export.tfmot._restored import restored
from keras_basisprune.export.tfmot._with_wrapped import with_wrapped
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.types import Data, Verbose


def prune_low_magnitude(
    model: keras.Model,
    train: Data,
    *,
    sparsity: float = 0.75,
    layers: str = "pointwise",
    epochs: int = 5,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
    seed: int = 0,
    verbose: Verbose = "auto",
) -> keras.Model:
    """Sets the smallest weights to zero while the model trains, by TFMOT.

    No layer becomes smaller: the weights keep their places, and `prune` makes a network
    smaller instead. Zeros compress well (`gzip`), and XNNPACK skips them in 1x1
    convolutions where at least two thirds are zeros, in networks of the form that it
    supports (float32; the first convolution 3 x 3 with stride 2 behind
    `ZeroPadding2D(1)`, then 1x1 and depthwise convolutions, to a
    `GlobalAveragePooling2D` with `keepdims=True`). There is a warning, with the layer,
    if this network is not; its zeros are only compressed.

    The share of zeros rises by TFMOT's `PolynomialDecay` in the first half of the
    training, and the second half recovers. By labels, or without labels towards the
    answers that the model itself gives before.

    Args:
        model: A built Functional or Sequential `keras.Model` that can cross
            (`to_tf_keras`). It is not changed.
        train: What `fit` takes: `(x, y)`, or a dataset of such batches; or images
            alone.
        sparsity: Share of zeros in each chosen layer, in (0, 1).
        layers: `"pointwise"`: 1x1 `Conv2D` layers, as in TFMOT's policy
            `PruneForLatencyOnXNNPack` (a folded basis ends in one); or `"all"`: every
            `Conv2D` (of any size) and `Dense`, and other layers that TFMOT can prune.
        epochs: Number of epochs.
        learning_rate: Rate of Adam in the first step; it falls to zero by a cosine.
        batch_size: Samples per step.
        seed: Integer that determines the order of the samples.
        verbose: As in `keras.Model.fit`.

    Returns:
        A new `keras.Model`, not compiled, flat, with the inputs and outputs of `model`.

    Raises:
        ValueError: If an argument is out of its range, TFMOT is not installed, a layer
            can't cross, or there is no layer to prune.

    Example:

    >>> sparse = kbp.export.tfmot.prune_low_magnitude(model, (images, labels))
    >>> kbp.export_tflite(sparse, "sparse.tflite")
    """
    sparsity = check_number("sparsity", sparsity, "(0, 1)", "", "Start with 0.75.")
    check_choice("layers", layers, ("pointwise", "all"), "Start with 'pointwise'.")
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
    steps = training.steps * training.epochs
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=sparsity,
        begin_step=0,
        end_step=max(1, steps // 2),
        frequency=max(1, min(100, steps // 20)),
    )
    chosen = [layer for layer in crossed.layers if _chosen(layer, layers)]
    if not chosen:
        raise ValueError(
            f"Expected `model` to have layers for layers={layers!r}. Received: "
            f"model={model.name!r} without any. Pass layers='all'."
        )
    if layers == "pointwise" and (why := _obstacle(crossed)):
        warnings.warn(
            "XNNPACK skips zeros only in networks of a certain form, and "
            f"this is none: {why}. Its file is only smaller when it is compressed.",
            stacklevel=2,
        )
    names = {layer.name for layer in chosen}

    prune = tfmot.sparsity.keras.prune_low_magnitude
    wrap = functools.partial(prune, pruning_schedule=schedule)
    pruned = with_wrapped(crossed, names, wrap)
    training.fit(pruned, [tfmot.sparsity.keras.UpdatePruningStep()])
    return restored(model, tfmot.sparsity.keras.strip_pruning(pruned))


def _chosen(layer, which) -> bool:
    """Returns whether a layer of `tf_keras` gets zeros."""
    layers = load_tf_keras().layers
    if which == "pointwise":
        plain = type(layer) is layers.Conv2D
        return plain and tuple(layer.kernel_size) == (1, 1) and layer.trainable
    kinds = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense)
    kinds += (layers.SeparableConv1D, layers.SeparableConv2D, layers.Embedding)
    return type(layer) in kinds and layer.trainable


def _obstacle(model) -> str:
    """Says why TFMOT's policy for XNNPACK refuses a model; empty if it does not."""
    policy = load_tfmot().sparsity.keras.PruneForLatencyOnXNNPack()
    try:
        policy.ensure_model_supports_pruning(model)
    except ValueError as error:
        return str(error).rstrip(".")
    return ""
