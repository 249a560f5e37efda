"""Measures what a network's outputs lose as each of its layers is cut."""

from collections.abc import Sequence

import keras
import numpy.typing as npt

from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.trace import check_model
from keras_basisprune.plans.sensitivity.measured_parts import (
    FITTED,
    RIDGE,
    SHARES,
    measured_parts,
)
from keras_basisprune.plans.sensitivity.record import Sensitivity
from keras_basisprune.plans.sensitivity.split_samples import split_samples
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number, is_number
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Verbose


def sensitivity(
    model: keras.Model,
    data: Data,
    *,
    what: str = "channels",
    shares: Sequence[float] = SHARES,
    scores: npt.ArrayLike | None = None,
    original: keras.Model | None = None,
    fitted: float = FITTED,
    ridge: float = RIDGE,
    verbose: Verbose = "auto",
) -> Sensitivity:
    """Measures what a network's outputs lose as each of its layers is cut.

    One layer after the other is cut to some shares of its channels, those of lowest
    score first, together with everything that the architecture ties to them
    (`channel_groups`): a residual stream is cut as a whole. The layers that read them
    are corrected in closed form as by `compensate`, and the outputs are compared with
    those of the whole network: probabilities by their Kullback-Leibler divergence (in
    nats), sigmoid outputs by the sum of theirs, all others by the squared error as a
    share of the variance; means over samples and positions, sums over the outputs of a
    model. Nothing is trained, and no labels are needed.

    Since a correction fits the samples that it was made from much better than others,
    it is fitted on one part of `data`, and the loss is measured on the rest.

    Weights are set in place, in a copy of the model in which BatchNormalization is
    folded, and the network is run only from the first changed layer on. Time is that of
    `scores.channels.compensated`, of one pass for statistics, and per layer and share
    of (on average) half a pass of the judged samples. Memory holds those of their
    values that later layers still read, and covariances of `n^2` numbers per layer with
    `n` inputs (`kh kw cin`; `cin` above 1,152).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        data: A few hundred unlabelled samples, as the model was trained on: an array, a
            list or dict of arrays for several inputs, or a dataset of batches.
        what: What is cut: `"channels"`, `"bases"`, or `"both"`, each alone. Bases are
            those of each layer's outputs, strongest first, as `convert(model, plan,
            data=data)` makes them.
        shares: Floats in (0, 1): the shares of a layer's channels that are kept; or of
            its bases, of the number at which two layers cost as much as one. In
            between, losses are interpolated.
        scores: Array of shape `(groups,)` in the numbering of `channel_groups(model)`:
            the order in which channels leave. Defaults to
            `scores.channels.compensated(model, data)`.
        original: The model whose outputs are wanted, if `model` has been cut already.
            Defaults to `model`.
        fitted: Float in (0, 1), the share of `data` that corrections are fitted on.
        ridge: Float > 0, as in `compensate`.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A `Sensitivity`, for `select_channels` and `select_bases`.

    Raises:
        ValueError: If an argument is out of its range, `data` or `scores` do not fit
            the model, or outputs are not finite.

    Example:

    >>> found = keras_basisprune.plans.sensitivity(model, images)
    >>> plan = keras_basisprune.select_channels(model, keep=0.7, sensitivity=found)
    >>> small = keras_basisprune.compensate(model, plan, images)
    """
    verbose = check_verbose(verbose)
    check_model("model", model)
    if original is not None:
        check_model("original", original)
    remedy = "Pass 'channels' for `select_channels`, 'bases' for `select_bases`."
    check_choice("what", what, ("channels", "bases", "both"), remedy)
    kept = _checked(shares)
    expected = "a float in (0, 1), the share that is fitted on"
    fitted = check_number("fitted", fitted, "(0, 1)", expected, "0.6 is a good start.")
    remedy = "Pass, for example, `ridge=0.01`."
    ridge = check_number("ridge", ridge, "(0, inf)", "a positive float", remedy)
    check_finite_weights(model)
    parts = split_samples(model, data, fitted)
    options = {"what": what, "scores": scores, "original": original}
    return measured_parts(model, *parts, kept, ridge, verbose, **options)


def _checked(shares) -> list[float]:
    """Returns shares in descending order."""
    try:
        found = [] if isinstance(shares, str | dict) else list(shares)
    except TypeError:
        found = []
    if not found or not all(is_number(share, "(0, 1)") for share in found):
        raise ValueError(
            "Expected `shares` to be floats in (0, 1), shares of a layer that are "
            f"kept. Received: shares={shown(shares)}. Pass {SHARES}, for example."
        )
    return sorted(map(float, found), reverse=True)
