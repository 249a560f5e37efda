"""Prunes channels and corrects the layers that read them."""

import keras
import numpy as np

from keras_basisprune.data.kept_batches import KeptBatches
from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.running import remembered
from keras_basisprune.graph.trace import check_model
from keras_basisprune.plan import Plan
from keras_basisprune.surgery._compensated_on_beam import compensated_on_beam
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

    On a `data.BeamSource`, each pass over it corrects the layers that don't depend on
    each other: a chain of `L` layers behind the first one that loses channels takes
    `L + 1` passes, the first of which counts samples (`docs/beam.md`). Sums are float64
    and those of `data` in memory to 1e-9.

    Source: *Compensation-aware pruning* (CaP, arXiv:2108.13728).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        plan: A `Plan`, as for `prune`.
        data: A few hundred unlabelled samples, as the model was trained on: an array, a
            list or dict of arrays for several inputs, or a dataset of batches. If the
            model accepts images of any size, batches may differ in size. Or a
            `data.BeamSource`.
        ridge: Float > 0, strength of the ridge towards the original weights, relative
            to the mean variance of a layer's inputs; or `None` to choose it for each
            layer. With a number, nothing is scaled.
        verbose: Whether to show a progress bar: `"auto"` and 1 do, 0 doesn't.

    Returns:
        A smaller Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the plan or the data do not fit the model, `ridge` is not
            positive, outputs on `data` are not finite, or workers of a `BeamSource`
            can't load the model.

    Example:

    >>> plan = keras_basisprune.select_channels(model, keep=0.5, data=images)
    >>> small = keras_basisprune.compensate(model, plan, images)
    """
    verbose = check_verbose(verbose)
    remedy = "Pass a number such as 0.01, or None."
    if ridge is not None:
        ridge = check_number("ridge", ridge, "(0, inf)", "a positive float", remedy)
    check_kind("plan", plan, Plan, "Make one with `select_channels`.")
    check_model("model", model)
    check_finite_weights(model)
    # A weak ridge covers no rounding.
    dtype = np.float64 if ridge is not None and ridge < _WEAK else np.float32
    if isinstance(data, BeamSource):
        return compensated_on_beam(model, plan, data, ridge, dtype)
    batches = KeptBatches.of(model, data, samples_at_once(model))
    done = pruned_calls(model, plan)
    made = remembered(
        model,
        data,
        ("compensate", dtype),
        lambda: OriginalOutputs(done.traced, batches, dtype),
    )
    return Compensation(done, ridge).run(batches, made, verbose)
