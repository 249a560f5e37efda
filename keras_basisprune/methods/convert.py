"""Turn every convolution into basis filters and a scaling layer."""

import collections
from typing import Any

import keras
import numpy as np

from keras_basisprune.data.sample_batches import sample_batches
from keras_basisprune.data.samples_at_once import samples_at_once
from keras_basisprune.graph.basis_pairs import basis_pairs
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.decomposable import kernel_matrix
from keras_basisprune.graph.rewrite import rewrite
from keras_basisprune.graph.rules import defines, rule_of
from keras_basisprune.graph.trace import Trace, trace
from keras_basisprune.linalg import LowRank, rank_for_energy, svd_basis
from keras_basisprune.methods._activation_bases import activation_bases
from keras_basisprune.methods._basis_chain import basis_chain
from keras_basisprune.methods._chosen_layers import chosen_layers
from keras_basisprune.methods._linear_twin import linear_twin
from keras_basisprune.methods._planned_bases import PlannedBases
from keras_basisprune.methods._regression_bases import RegressionBases
from keras_basisprune.plan import Plan
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Verbose


def convert(
    model: keras.Model,
    rank: int | float | Plan | None = None,
    basis: str | None = None,
    l1: float = 0.0,
    include: Any = None,
    exclude: Any = None,
    data: Data = None,
    verbose: Verbose = "auto",
    *,
    _traced: Trace | None = None,
) -> keras.Model:
    """Decomposes the convolutions of a model into bases with trainable scales.

    Every chosen layer `<layer>` becomes `<layer>_basis` (a plain convolution that holds
    the basis filters, frozen) and `<layer>_scaling` (a `BasisScalingConv`, in which
    only the scales are trainable). At full rank the converted model computes the same
    function as the original up to rounding. All other layers keep their weights and
    their `trainable` flag. Nested models are flattened; the given model is not
    changed. Regularizers and constraints of decomposed kernels and biases are left
    out, since these are frozen. Compile the result before training it.

    The bases are those

    - of the *weights*: singular vectors of the kernels, orthonormal, in need of no
      data;
    - of the *activations*: principal components of each layer's outputs on `data`,
      all layers in one pass. No labels are needed; some hundred images are enough. The
      mean of every output is kept, whatever basis leaves;
    - of a *regression*: layer after layer, each is fitted by reduced-rank regression
      to its original outputs from the inputs that the compressed layers before it
      deliver, and so makes up for what they lack. This keeps most by far at low ranks
      (`docs/results.md`). It needs to know the ranks: give `rank`, best a `Plan` made
      by `allocate`. At full rank it is the same as `"activations"`.

    Time for `"weights"` is that of one singular value decomposition per layer,
    `O(n cout min(n, cout))` for a kernel of `n = kh kw cin` rows. `"activations"` adds
    one forward pass and a product `O(cout^2)` per sampled position (64 per image and
    layer at most, which moves singular values by about 1 % with 600 images); memory
    does not depend on the number of images. `"regression"` runs each layer twice per
    image, and adds a product `O(n^2)` per sample (30,000 of them at most) and one
    solution `O(n^3)` per layer; all images and the values that are still needed of
    both networks are in memory.

    Sources: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for
    Efficient Transfer Learning* (arXiv:2108.02893), section 3.1; Zhang, Zou, He, Sun
    2015, *Accelerating Very Deep Convolutional Networks for Classification and
    Detection* (arXiv:1505.06798), sections 3.1 (activations) and 3.2 (regression).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        rank: `None` for full rank, an integer (at most so many bases per layer), a
            float in (0, 1]: the share of energy (squared singular values) to keep, or
            a `Plan`: the bases that it keeps of each layer, by their positions in the
            order of strength, full rank where it names none; the result equals the
            model that `prune` makes of the converted one of full rank. A regression
            makes bases anew, and takes plans of leading bases only, as `allocate` makes
            them.
        basis: `"weights"`, `"activations"` or `"regression"`. Defaults to
            `"activations"` if there is `data`, else to `"weights"`.
        l1: Float, strength of the L1 regularization of the scales.
        include: What to decompose: a layer name or regular expression (which must
            match the whole name), a layer class, a predicate `layer -> bool`, or a
            list of these. Defaults to every `Conv1D/2D/3D` and the pointwise half of
            every `SeparableConv1D/2D`. `Dense` layers are decomposed if they are
            asked for here.
        exclude: What to leave alone, in the same form. Wins over `include`.
        data: Unlabelled samples for `"activations"` and `"regression"`, as the model
            was trained on: an array, a list or dict of arrays for several inputs, a
            `tf.data.Dataset` or `keras.utils.PyDataset` of batches (each of its own
            size, where the model takes images of any size). Labels that come along are
            left out.
        verbose: Whether to show a progress bar while data is read: `"auto"` and 1 do,
            0 doesn't.

    Returns:
        A Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the model is subclassed, not built, or converted already; if no
            layer can be decomposed; if a weight or an output on `data` is not finite;
            if `data` does not fit the model; if an argument is out of its range or
            names no layer; if a plan names channels or other layers, counts other
            bases, or keeps others than the leading ones for a regression.

    Example:

    >>> model = keras.applications.MobileNetV2(weights="imagenet")
    >>> converted = keras_basisprune.convert(model, rank=0.99, l1=1e-4)
    >>> converted.compile("adam", "sparse_categorical_crossentropy")

    Without training, from unlabelled images:

    >>> plan = keras_basisprune.allocate(
    ...     keras_basisprune.convert(model, data=images), keep=0.15)
    >>> converted = keras_basisprune.convert(model, plan, "regression", data=images)
    """
    verbose = check_verbose(verbose)
    if basis is None:
        basis = "weights" if data is None else "activations"
    _check_arguments(rank, basis, l1, data)
    traced = _traced or trace(model)
    if pairs := basis_pairs(traced):
        raise ValueError(
            "Expected `model` not to be converted yet. Received: a model with "
            f"BasisScalingConv layers ({', '.join(list(pairs)[:3])}, ...). Train, "
            "`prune` and `fold` it, or start again from the original."
        )
    check_finite_weights(model)
    layers = list({id(c.op): c.op for c in traced.calls}.values())
    layers = [layer for layer in layers if isinstance(layer, keras.layers.Layer)]
    chosen = chosen_layers(layers, include, exclude)
    plan = None
    if isinstance(rank, Plan):
        calls = [call for call in traced.calls if id(call.op) in chosen]
        plan = PlannedBases(rank, calls, basis == "regression")

    def kept(low, name):
        """Which bases of a layer are kept."""
        full = len(low.kernel)
        if plan is not None:
            return plan.of(name, full)
        return np.arange(full)[: _rank(low, rank)]

    if basis == "weights":
        bases = {}
    else:
        bases = _bases_of_data(model, traced, chosen, basis, kept, data, verbose)

    def replace(layer, name):
        if id(layer) not in chosen:
            return None
        low = bases.pop(id(layer), None) or _of_weights(layer)
        return basis_chain(layer, name, low, kept(low, name), l1)

    converted = rewrite(model, replace, traced)
    if plan is not None:
        plan.finish()
    return converted


def _check_arguments(rank, basis, l1, data):
    whole = isinstance(rank, int | np.integer) and not isinstance(rank, bool)
    share = isinstance(rank, float | np.floating) and 0 < rank <= 1
    if not (rank is None or (whole and rank >= 1) or share or isinstance(rank, Plan)):
        raise ValueError(
            "Expected `rank` to be None (full rank), a positive integer, a float in "
            "(0, 1] (the share of energy to keep), or a Plan. "
            f"Received: rank={shown(rank)}. Pass, for example, `rank=0.99`."
        )
    remedy = "Leave it out: it goes by whether there is `data`."
    check_choice("basis", basis, ("weights", "activations", "regression"), remedy)
    if (basis == "weights") != (data is None):
        raise ValueError(
            "Expected `data` for the bases 'activations' and 'regression', and none "
            f"for 'weights'. Received: basis={basis!r}, data={type(data).__name__}. "
            "Pass some hundred unlabelled samples as `data`, or leave it out."
        )
    remedy = "Pass, for example, `l1=1e-4`."
    check_number("l1", l1, "[0, inf)", "a finite number >= 0", remedy)


def _of_weights(layer) -> LowRank:
    u, s, vt = svd_basis(kernel_matrix(layer))
    return LowRank(u, s[:, None] * vt)


def _bases_of_data(model, traced, chosen, basis, kept, data, verbose):
    """Maps the `id`s of layers to their bases, taken of data."""
    for call in traced.calls:
        if id(call.op) in chosen:
            kernel_matrix(call.op)  # which refuses what is not finite
    twin = linear_twin(model, traced, chosen)
    all_at_once = basis == "regression"
    batches = sample_batches(
        model, None, data, "data", samples_at_once(model), kept=all_at_once
    )
    if basis == "activations":
        return activation_bases(twin, chosen, batches, _floor, verbose)
    batches = list(batches)
    counts = collections.Counter(id(call.op) for call in traced.calls)
    apart = [
        key
        for key, layer in twin.layers.items()
        if counts[key] > 1 or not _is_fitted(layer)
    ]
    fixed = activation_bases(twin, apart, batches, _floor, False) if apart else {}
    names = {key: layer.name for key, layer in twin.layers.items()}

    def cut(key, low):
        return low.take(kept(low, names[key]))

    return RegressionBases(twin, batches, cut, _floor, fixed).fit(verbose)


def _is_fitted(layer) -> bool:
    """Whether a regression can be made of what a layer's matrix is multiplied by."""
    rule = rule_of(layer)
    return defines(rule, "patches") and defines(rule, "weights_for")


def _floor(compute_dtype) -> float:
    """Smallest standard deviation that features are divided by, relatively."""
    return 1e-3 if compute_dtype == "float16" else 1e-6  # or they overflow


def _rank(low, rank) -> int | None:
    if isinstance(rank, float | np.floating):
        return rank_for_energy(low.singular_values, rank)
    return rank
