"""Turns every convolution into basis filters and a scaling layer."""

from typing import Any

import keras
import numpy as np

from keras_basisprune.data.on_beam.beam_source import BeamSource
from keras_basisprune.graph.rewrite import rewrite
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.linalg import rank_for_energy
from keras_basisprune.measure import LatencyTable
from keras_basisprune.methods._basis_chain import basis_chain
from keras_basisprune.methods._basis_source import BasisSource
from keras_basisprune.methods._beam_bases import BeamBases
from keras_basisprune.methods._planned_bases import PlannedBases
from keras_basisprune.plan import Plan
from keras_basisprune.plans.check_selection import check_cost, check_selection
from keras_basisprune.plans.limits import Limits
from keras_basisprune.plans.select_bases import select_bases
from keras_basisprune.scores.energy import energy_shares
from keras_basisprune.scores.output_statistics import OutputStatistics
from keras_basisprune.scores.to_decompose import to_decompose
from keras_basisprune.utils.check_choice import check_choice
from keras_basisprune.utils.check_number import check_number
from keras_basisprune.utils.check_record import check_record
from keras_basisprune.utils.check_verbose import check_verbose
from keras_basisprune.utils.shown import shown
from keras_basisprune.utils.types import Data, Verbose


def convert(
    model: keras.Model,
    rank: int | float | Plan | None = None,
    *,
    keep: float | None = None,
    basis: str | None = None,
    cost: str | LatencyTable = "flops",
    data: Data = None,
    l1: float = 0.0,
    include: Any = None,
    exclude: Any = None,
    limits: Limits | None = None,
    verbose: Verbose = "auto",
) -> keras.Model:
    """Decomposes the convolutions of a model into bases with trainable scales.

    With `keep` and `data`, one call does everything that works without training: it
    chooses the ranks at which the model costs that share (`select_bases`), and fits
    bases of these ranks to the data. `fold` makes plain layers of them.

    Every chosen layer `<layer>` becomes `<layer>_basis` (a plain convolution that holds
    the basis filters, frozen) and `<layer>_scaling` (a `BasisScalingConv`, in which
    only the scales are trainable). At full rank the converted model computes the same
    function as the original up to rounding. All other layers keep their weights and
    their `trainable` flag. Nested models are flattened; the given model is not
    changed. Regularizers and constraints of decomposed kernels and biases are dropped,
    since these are frozen. Compile the result before training it.

    The bases are those

    - of the *weights*: singular vectors of the kernels, orthonormal, without data;
    - of the *activations*: principal components of each layer's outputs on `data`,
      all layers in one pass. No labels are needed; a few hundred images are enough.
      Removing bases never changes the mean of the outputs;
    - of a *regression*: layer after layer, each is fitted by reduced-rank regression
      to its original outputs from the inputs that the compressed layers before it
      deliver, and so corrects the errors of those before it. At low ranks this is by
      far the most accurate (`docs/results.md`). It needs the ranks: pass `keep`, or
      `rank`, preferably as a `Plan` made by `select_bases`. At full rank it is the same
      as `"activations"`.

    Time for `"weights"` is that of one singular value decomposition per layer,
    `O(n cout min(n, cout))` for a kernel of `n = kh kw cin` rows. `"activations"` adds
    one forward pass and a product `O(cout^2)` per sampled position (64 per image and
    layer at most, which moves singular values by about 1 % with 600 images); memory
    does not depend on the number of images. `"regression"` runs each layer twice per
    image, and adds a product `O(n^2)` per sample (30,000 of them at most) and one
    solution `O(n^3)` per layer. Values that are still needed of both networks, for all
    images, are on disk beyond half a GiB (`data.spilling`), so that memory does not
    grow either. `keep` adds the cost of `"activations"` (no copy of the model is built
    for it), and with a `LatencyTable` that of `select_bases`.

    A `data.BeamSource` is read once for `"activations"`. `"regression"` reads it once
    to count samples and for the ranks, and once for all layers that don't depend on
    each other: a chain of `L` layers takes `L + 1` passes (`docs/beam.md`). Sums are
    float64, and those of `data` in memory to 1e-9.

    Sources: Wong, Kashyap, Moradi 2021, *Basis Scaling and Double Pruning for
    Efficient Transfer Learning* (arXiv:2108.02893), section 3.1; Zhang, Zou, He, Sun
    2015, *Accelerating Very Deep Convolutional Networks for Classification and
    Detection* (arXiv:1505.06798), sections 3.1 (activations) and 3.2 (regression).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        rank: `None` for full rank; an integer: the largest number of bases per layer; a
            float in (0, 1]: the share of energy (squared singular values) to keep; or
            a `Plan`: the bases to keep of each layer, by their positions in descending
            order of strength, with full rank for layers that it does not name. The
            result then equals that of `prune` with the plan, after `convert` at full
            rank. A regression fits new bases, so it accepts plans of leading bases
            only, as `select_bases` makes them.
        keep: Float in (0, 1], instead of `rank`: the share of the model's `cost` to
            keep. Ranks are chosen by energy per cost.
        basis: `"weights"`, `"activations"` or `"regression"`. Defaults to `"weights"`
            without `data`; with it to `"regression"` for a `keep`, else (and for an
            `OutputStatistics`) to `"activations"`.
        cost: What `keep` is a share of, as in `select_bases`: `"flops"`, `"params"`,
            `"bases"`, or a `LatencyTable`.
        data: Unlabelled samples for `"activations"` and `"regression"`, as the model
            was trained on: an array, a list or dict of arrays for several inputs, a
            `tf.data.Dataset` or `keras.utils.PyDataset` of batches (of different image
            sizes, if the model accepts any size). Labels in a dataset are ignored. Data
            are read once. Or a `data.BeamSource` of samples that are on many machines;
            for `"activations"` also an `OutputStatistics` (`scores.summarize_outputs`).
        l1: Float, strength of the L1 regularization of the scales.
        include: What to decompose: a layer name or regular expression (which must
            match the whole name), a layer class, a predicate `layer -> bool`, or a
            list of these. Defaults to every `Conv1D/2D/3D` and the pointwise half of
            every `SeparableConv1D/2D`. `Dense` layers are decomposed only if they are
            included here.
        exclude: What not to decompose, in the same form. Overrides `include`.
        limits: A `Limits` for the ranks that `keep` chooses. Layers that its `exclude`
            names keep all of their bases, but are still decomposed.
        verbose: Whether to show a progress bar while data is read: `"auto"` and 1 do,
            0 doesn't.

    Returns:
        A Functional `keras.Model`, not compiled.

    Raises:
        ValueError: If the model is subclassed, not built, or converted already; if no
            layer can be decomposed; if a weight or an output on `data` is not finite;
            if `data` does not fit the model; if an argument is out of its range or
            names no layer; if `keep` can't be reached (then a `CannotReach`); if a plan
            names channels or other layers, counts other bases, or keeps other bases
            than the leading ones for a regression.

    Example:

    >>> model = keras.applications.MobileNetV2(weights="imagenet")
    >>> converted = keras_basisprune.convert(model, rank=0.99, l1=1e-4)
    >>> converted.compile("adam", "sparse_categorical_crossentropy")

    Without training, from unlabelled images:

    >>> converted = keras_basisprune.convert(model, keep=0.15, data=images)
    >>> small = keras_basisprune.fold(converted)
    """
    verbose = check_verbose(verbose)
    if basis is None:
        summed = isinstance(data, OutputStatistics)
        fitted = "activations" if keep is None or summed else "regression"
        basis = "weights" if data is None else fitted
    _check_arguments(rank, basis, l1, data)
    if keep is not None or limits is not None:
        _check_selection(rank, keep, cost, limits)
    found = to_decompose(model, include, exclude)
    if isinstance(data, BeamSource) and basis == "regression":
        source = BeamBases(model, found, data)
    else:
        source = BasisSource(model, found, basis, data, verbose)
    if keep is not None:
        rank = ranks_for(model, found, source, keep, cost, data, limits)
    return with_bases(model, found, source, rank, basis, l1)


def with_bases(model, found, source, rank, basis, l1=0.0) -> keras.Model:
    """Carries out a conversion.

    Args:
        model: A `keras.Model`.
        found: Its `ToDecompose`.
        source: A `BasisSource`, or what has its methods `fit`, `take` and, for
            `ranks_for`, `spectrum`.
        rank: As in `convert`, as `basis` and `l1`.

    Returns:
        What `convert` returns.
    """
    plan = _planned(rank, found, basis)

    def kept(low, name):
        """Returns the positions of a layer's bases that are kept."""
        full = len(low.kernel)
        if plan is not None:
            return plan.of(name, full)
        return np.arange(full)[: _rank(low, rank)]

    source.fit(kept)

    def replace(layer, name):
        if id(layer) not in found.layers:
            return None
        low = source.take(layer)
        return basis_chain(layer, name, low, kept(low, name), l1)

    return rewrite(model, replace, found.traced)


def ranks_for(model, found, source, keep, cost, data, limits) -> Plan:
    """Returns the plan that `select_bases` makes for the bases of `source`."""
    scores = {
        found.names[key]: energy_shares(source.spectrum(layer))
        for key, layer in found.layers.items()
    }
    given = {"scores": scores, "data": data, "cost": cost, "limits": limits}
    return select_bases(model, keep=keep, **given)


def _planned(rank, found, basis) -> PlannedBases | None:
    if not isinstance(rank, Plan):
        return None
    ranks = {
        found.names[key]: min(rule_of(layer).matrix_shape(layer) or (0,))
        for key, layer in found.layers.items()
    }
    return PlannedBases(rank, ranks, basis == "regression")


def _check_selection(rank, keep, cost, limits):
    if rank is not None and keep is not None:
        raise ValueError(
            "Expected one of `rank` and `keep`. Received: "
            f"rank={shown(rank)}, keep={shown(keep)}. Leave out `rank`, or choose the "
            "plan by `select_bases(model, keep=...)` and pass it alone."
        )
    if limits is not None and keep is None:
        raise ValueError(
            "Expected `limits` together with `keep`, whose ranks they limit. Received: "
            f"limits={shown(limits)} without `keep`. Leave it out, or pass `keep`."
        )
    check_selection(keep, None, "global")
    check_cost(cost, "bases")
    check_record("limits", limits, Limits)


def _check_arguments(rank, basis, l1, data):
    whole = isinstance(rank, int | np.integer) and not isinstance(rank, bool)
    share = isinstance(rank, float | np.floating) and 0 < rank <= 1
    if not (rank is None or (whole and rank >= 1) or share or isinstance(rank, Plan)):
        raise ValueError(
            "Expected `rank` to be None (full rank), a positive integer, a float in "
            "(0, 1] (the share of energy to keep), or a Plan. "
            f"Received: rank={shown(rank)}. Pass, for example, `rank=0.99`."
        )
    remedy = "Leave it out to choose it by `data` and `keep`."
    check_choice("basis", basis, ("weights", "activations", "regression"), remedy)
    if (basis == "weights") != (data is None):
        raise ValueError(
            "Expected `data` for the bases 'activations' and 'regression', and none "
            f"for 'weights'. Received: basis={basis!r}, data={type(data).__name__}. "
            "Pass a few hundred unlabelled samples as `data`, or leave it out."
        )
    if basis == "regression" and isinstance(data, OutputStatistics):
        raise ValueError(
            "Expected `data` to be samples for a regression, which reads them layer "
            f"after layer. Received: data={data!r}. Pass samples or a "
            "`data.BeamSource` of them, or leave out `basis`."
        )
    remedy = "Pass, for example, `l1=1e-4`."
    check_number("l1", l1, "[0, inf)", "a finite number >= 0", remedy)


def _rank(low, rank) -> int | None:
    if isinstance(rank, float | np.floating):
        return rank_for_energy(low.singular_values, rank)
    return rank
