"""Prunes channels and corrects the layers that read them."""

import keras
import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.running import remembered
from keras_basisprune.graph.trace import check_model
from keras_basisprune.plan import Plan
from keras_basisprune.surgery._compensation import Compensation
from keras_basisprune.surgery._original_outputs import OriginalOutputs
from keras_basisprune.surgery.prune import pruned_calls
from keras_basisprune.utils.check_kind import check_kind
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.types import Data, Verbose

_WEAK = 1e-5  # ridges below this need float64


def compensate(
    model: keras.Model,
    plan: Plan,
    data: Data,
    *,
    ridge: float | None = None,
    verbose: Verbose = "auto",
) -> keras.Model:
    """Prunes a model and corrects the layers that read removed channels.

    Layer after layer, the kernel and bias of each convolution and dense layer are
    corrected by ridge regression, so that, from the inputs that the pruned layers
    before it deliver, it reproduces its outputs in the original model. With `C` the
    covariance of those inputs (patches of them) and `X` their covariance with the error
    of the outputs, the correction is `(C + ridge mean(diag C) I)^-1 X`. No labels and
    no gradients are needed. Removed channels that are linear combinations of kept ones
    cost nothing (as `ridge` goes to 0).

    How strong the ridge must be depends on the layer and on the number of samples. By
    default, it is chosen for each layer by cross-validation: a fifth of the samples
    after the other is left out (of 256 inputs or more, only one), and the strength
    taken that does best on these (`linalg.RidgeFolds`). So few samples are not learned
    by heart. Outputs that then vary less than the original ones are scaled (by 1.5 at
    most; not those of the model itself), since least squares leaves out what it can't
    predict.

    Means are restored in the bias or, without one, in the following BatchNormalization.
    Not corrected are grouped, depthwise and transposed convolutions, kernels with `kh
    kw cin` above 4,608, attention, and layers that are quantized or have LoRA. A layer
    that is called several times is fitted on the inputs of its first call (branches are
    computed in the order of a call's arguments). Nested models are supported.

    Time is that of one forward pass of both models, and per layer a product `O(n^2)`
    per position (30,000 of them at most) and four to twenty solutions `O(n^3)`,
    `n = kh kw cin`. Memory does not grow with the number of samples: what is beyond
    half a GiB of the values that are still needed is on disk (`data.spilling`).

    Source: *Compensation-aware pruning* (CaP, arXiv:2108.13728).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        plan: A `Plan`, as for `prune`.
        data: A few hundred unlabelled samples, as the model was trained on: an array, a
            list or dict of arrays for several inputs, or a dataset of batches. If the
            model accepts images of any size, batches may differ in size.
        ridge: Float > 0, strength of the ridge towards the original weights, relative
            to the mean variance of a layer's inputs; or `None` to choose it for each
            layer. With a number, nothing is scaled.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A smaller Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the plan or the data do not fit the model, `ridge` is not
            positive, or outputs on `data` are not finite.

    Example:

    >>> plan = keras_basisprune.select_channels(model, keep=0.5, data=images)
    >>> small = keras_basisprune.compensate(model, plan, images)
    """
    verbose = check_verbose(verbose)
    ridge = check_compensated(model, plan, ridge)
    batches = KeptBatches.of(model, data, samples_at_once(model))
    done = pruned_calls(model, plan)
    exact = dtype_for(ridge)
    made = remembered(
        model,
        data,
        ("compensate", exact),
        lambda: OriginalOutputs(done.traced, batches, exact),
    )
    return Compensation(done, ridge).run(batches, made, verbose)


def check_compensated(model, plan, ridge) -> float | None:
    """Raises `ValueError` unless a model, a plan and a ridge are fit for each other."""
    remedy = "Pass a number such as 0.01, or None."
    if ridge is not None:
        ridge = check_number("ridge", ridge, "(0, inf)", "a positive float", remedy)
    check_kind("plan", plan, Plan, "Make one with `select_channels`.")
    check_model("model", model)
    check_finite_weights(model)
    return ridge


def dtype_for(ridge):
    """Returns the dtype of products: a weak ridge covers no rounding."""
    return np.float64 if ridge is not None and ridge < _WEAK else np.float32
