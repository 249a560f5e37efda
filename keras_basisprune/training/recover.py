"""Training after pruning."""

from collections.abc import Sequence

import keras

from keras_basisprune.data.batching.fixed_batch import fixed_batch
from keras_basisprune.data.batching.shares import check_shares
from keras_basisprune.data.examples.read_examples import read_examples
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.check_labels import check_labels
from keras_basisprune.graph.output_kinds import first_outputs, output_kinds
from keras_basisprune.graph.trace import check_model
from keras_basisprune.training.check_output_scale import check_output_scale
from keras_basisprune.training.fit_recovered import check_trainable, fit_recovered
from keras_basisprune.training.on_first_process import on_first_process
from keras_basisprune.training.output_losses import distillation_losses, label_losses
from keras_basisprune.training.quantization.unrounded_outputs import (
    unrounded_outputs,
)
from keras_basisprune.training.recovery import Recovery
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.processes import check_same
from keras_basisprune.utils.types import Data, Verbose

_TYPICAL = 256  # samples by whose outputs squared errors are scaled


def recover(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    *,
    teacher: keras.Model | None = None,
    config: Recovery | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Verbose = "auto",
) -> keras.callbacks.History:
    """Trains a network that was pruned, with labels or with a teacher.

    With a teacher, such as the network before it was pruned, no label is used. Each
    output is trained towards the teacher's, by what it is: the Kullback-Leibler
    divergence for classes (`Distillation`), the same for each yes and no, squared
    errors divided by the variance for numbers, and cosine distance for directions; for
    maps and sequences, at each position. The teacher's outputs are computed once, or on
    the augmented images of each epoch, or (of a dataset, or from 1 GiB on) for each
    batch.

    Without a teacher, the loss is the one that the model was compiled with; if it was
    not, cross-entropy for classes and for yes and no, and squared error for numbers.
    Regularizers of the layers are added in both cases.

    In training, BatchNormalization uses the statistics of the batch, which pruning has
    changed. This helps a network that was only pruned and harms one that was fitted. So
    if the loss on some training images is lower with the old statistics than with new
    ones (`recalibrate`), and than that of one answer for all images, the old ones
    become part of `gamma` and `beta`, so that training starts from the same function
    (`match_statistics`).

    With a teacher the best weights are restored at the end, those from before training
    included, so that it ends no worse than it began: the best on `validation`, or
    on a tenth of `train` that is set aside (`Recovery`). A network that was fitted on
    the images of `train` (`compensate`, `convert`) knows these by heart, so those that
    are set aside are cropped at random, unless `config.augment` changes them anyway. A
    validation that it was not fitted on judges better.

    The model is trained in place. It is compiled before, for this run, and again
    afterwards, with its own `trainable` flags and momenta, a new Adam, and the loss for
    labels (for classes: sparse categorical cross-entropy and accuracy). The same seed,
    weights and data give the same weights on the same machine: random numbers depend on
    the seed and the epoch's number, with which the global random seed is set at the
    beginning of each epoch (`keras.utils.set_random_seed`). A killed run with
    `keras.callbacks.BackupAndRestore` continues exactly where it stopped. On a GPU,
    Keras' backend must be set to be deterministic.

    Args:
        model: A Functional or Sequential model, converted or not.
        train: What `fit` takes: `(x, y)` or `(x, y, sample_weight)`, of arrays, or of
            lists or dicts of them for several inputs or outputs, or a dataset of such
            batches. With a teacher, images alone or `(x, None)` are enough. A dataset
            is read in each epoch, in its own order; of one, some samples that also
            train judge which weights are best if there is no validation.
        validation: The same, or `None`.
        teacher: A model with the same outputs, for the same inputs.
        config: A `Recovery`; defaults to `Recovery()`.
        callbacks: Keras callbacks. They see one `fit`, without `on_test_*`, with these
            logs: `loss`; for one output of classes `accuracy`, or, with a teacher,
            `agreement` (share of images to which it gives the same class);
            `learning_rate` at the end of the epoch; with validation, or images that
            were set aside, `val_loss`, `val_accuracy` (if there are labels) and
            `val_agreement` (if there is a teacher).
        verbose: As in `keras.Model.fit`.

    Returns:
        The `keras.callbacks.History` of `fit`. Its `best_epoch` is the number of the
        epoch whose weights were restored, `None` for those from before training or if
        none were.

    Raises:
        ValueError: If an argument is out of its range, or model, teacher and data do
            not fit each other. Nothing is trained then.

    Example:

    >>> small = keras_basisprune.prune(converted, plan)
    >>> keras_basisprune.recover(small, images, teacher=model)
    """
    config = check_record("config", config, Recovery)
    callbacks = on_first_process(callbacks)
    check_verbose(verbose)
    if config.quantize:
        raise ValueError(
            "Expected `config.quantize` to be false, since `recover` trains the model "
            "in place. Received: quantize=True. Train what "
            "`keras_basisprune.quantize_aware(model, images)` returns; `quantize` is "
            "for `compress`."
        )
    if config.keep_best and validation is None and not config.validation_split:
        raise ValueError(
            "Expected `validation` when `config.keep_best` is true and "
            "`config.validation_split` is 0. Received: validation=None. Pass a pair "
            "(x, y), or validation_split=0.1."
        )
    check_model("model", model)
    check_trainable(model, config.weights)
    check_shares("config.batch_size", config.batch_size, fixed_batch(model))
    check_finite_weights(model)
    labels = "needed" if teacher is None else "optional"
    train = read_examples("train", model, train, labels, seed=config.seed)
    if validation is not None:
        validation = read_examples("validation", model, validation, labels)
    check_same(train=train.checksum)
    if config.keep_best and validation is None and teacher is None:
        _check_in_memory(train)
    if teacher is not None:
        _check_teacher(teacher, model, train)
    told, whole = config.from_logits, model
    model = unrounded_outputs(whole)
    outputs = output_kinds(teacher or model, train.first, told)
    check_output_scale("model", model, outputs, train.first)
    check_labels("train", train, outputs)
    if validation is not None:
        check_labels("validation", validation, outputs)
    if teacher is None:
        losses = label_losses(model, outputs, train.first.targets)
    else:
        check_output_scale("teacher", teacher, outputs, train.first)
        typical = first_outputs(teacher, train.drawn(_TYPICAL, config.seed))
        losses = distillation_losses(outputs, typical, config.temperature)
    return fit_recovered(
        whole, train, validation, teacher, config, losses, callbacks, verbose
    )


def _check_teacher(teacher, model, train):
    check_model("teacher", teacher, readable=not hasattr(teacher, "output_shape"))
    wanted, given = ([t.shape[1:] for t in m.outputs] for m in (model, teacher))
    if wanted != given:
        wanted, given = (x[0] if len(x) == 1 else x for x in (wanted, given))
        raise ValueError(
            f"Expected `teacher` to have outputs of shape {wanted}, as the model has. "
            f"Received: {given}. Pass the model that was pruned."
        )
    shared = {id(v) for v in model.weights} & {id(v) for v in teacher.weights}
    if shared:
        raise ValueError(
            "Expected `teacher` to have weights of its own. Received: a teacher that "
            f"shares {len(shared)} with the model, and would change as it trains. Pass "
            "a copy: `keras.models.clone_model`, then `set_weights`."
        )
    whole = train.whole.inputs if train.in_memory else train.first.inputs
    read_examples("train", teacher, (whole[0] if len(whole) == 1 else whole,))


def _check_in_memory(train):
    if not train.in_memory:
        raise ValueError(
            "Expected `validation` when `config.keep_best` is true and `train` is a "
            "dataset with labels. Received: validation=None. Pass one, of which no "
            "sample trains."
        )
