"""Diff pruning: a task as a sparse difference to a frozen network."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_basisprune.methods.diff_pruning._learner import LABELS, learned_deltas
from keras_basisprune.methods.diff_pruning.diff_options import DiffOptions
from keras_basisprune.methods.diff_pruning.task_delta import TaskDelta
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.types import Data, Verbose


def diff_pruning(
    model: keras.Model,
    train: Data,
    validation: Data = None,
    *,
    share: float = 0.005,
    head: str | Sequence[str] | None = None,
    loss: Any = LABELS,
    config: DiffOptions | None = None,
    verbose: Verbose = "auto",
) -> TaskDelta:
    """Learns a task as a sparse difference to a network, which stays as it is.

    First a difference `delta` to all weights is trained, with gates `z` that are pushed
    towards zero: `w + z * delta`. The largest of it, over the whole network, are kept:
    a `share` of all weights. These train on, together with the head, which is the
    task's own and stored whole. Apply the result by `TaskDelta.apply`.

    It works on models of any kind, subclassed ones too: the difference is laid over the
    variables, whatever layers do with them. Every weight of the base that its layer has
    created as trainable may differ, regardless of the `trainable` flags. Regularizers
    of the base's layers are left out.

    The model itself serves for training; in the end all its variables and flags are
    what they were, even if training fails. The same seed, weights and data give the
    same delta on the same machine. Memory is that of fine-tuning by Adam, and with
    gates three more numbers per weight; a step takes as long as one of fine-tuning, and
    the time to draw a random number per weight.

    Source: Guo, Rush, Kim 2020, *Parameter-Efficient Transfer Learning with Diff
    Pruning* (arXiv:2012.07463), sections 2 and 3.

    Args:
        model: A built `keras.Model` with the task's head, trained or not.
        train: A pair `(x, y)` of arrays, `y` integer labels; `x` may be a dict or list
            of arrays, if the model takes that. Or what gives such batches: a
            `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch `DataLoader`, a
            generator. It is read once, into memory; order and batches are those of
            `config`.
        validation: The same, or `None`.
        share: Float in [0, 1], the share of the base's weights, without the head, that
            may differ; 0.005 is 0.5 %. 0 for the head alone, 1 for all weights.
        head: Name or names of the layers of the head. Defaults to the last layer with
            weights.
        loss: A loss as in `keras.Model.compile`. For any but the default, `y` holds
            whatever targets it takes.
        config: A `DiffOptions`; defaults to `DiffOptions()`.
        verbose: As in `keras.Model.fit`.

    Returns:
        A `TaskDelta`.

    Raises:
        ValueError: If an argument is out of its range, the model has no such head, or
            the data do not fit it. Nothing is trained then.

    Example:

    >>> delta = keras_basisprune.methods.diff_pruning(model, (x, y), share=0.005)
    >>> delta
    TaskDelta(16,144 of 3,228,864 weights (0.50%), 21,888 whole, ...)
    >>> network = delta.apply(model)
    """
    share = check_number(
        *("share", share, "[0, 1]", "a float in [0, 1], the share that may differ"),
        "0.005 lets 0.5 % of the weights differ.",
    )
    rest = head, loss, config, verbose
    return learned_deltas(model, train, validation, [share], *rest)[0]
