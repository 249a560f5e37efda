"""A layer that a regression fits, and what it is fitted on."""

import keras
import numpy as np

from keras_basisprune.graph.joined_branch import joined_branch
from keras_basisprune.graph.makes_result import makes_result
from keras_basisprune.graph.map_positions import LARGEST, take_positions
from keras_basisprune.graph.rules import rule_of
from keras_basisprune.graph.sample_folds import FOLDS
from keras_basisprune.linalg import (
    LowRank,
    RidgeFolds,
    principal_basis,
    principal_deviations,
    variance_factors,
)
from keras_basisprune.scores.activation_bases import floor

# Smaller BatchNormalization factors are raised to this share of the largest, when a
# branch corrects the error of another one.
SMALLEST_FACTOR = 0.1


class FittedCall:
    """A call of a layer without activation, and the sum that its output goes into.

    Args:
        traced: The `Trace` of a twin.
        position: Integer, the position of the call.

    Attributes:
        call: The `Call`.
        kernel: Float64 array of shape `(n, cout)`.
        tensors: The tensors that the fit depends on.
    """

    def __init__(self, traced, position):
        self.call = call = traced.calls[position]
        self._rule = rule_of(call.op)
        kernel = keras.ops.convert_to_numpy(self._rule.matrix(call.op))
        self.kernel, self._narrow = kernel.astype(np.float64), kernel.astype(np.float32)
        consumers = traced.consumers()
        results = {id(tensor) for tensor in keras.tree.flatten(traced.outputs)}
        self._last = makes_result(call, consumers, results)
        # What is computed before it; the sum, which comes later, needs it until then.
        known = {id(tensor) for tensor in keras.tree.flatten(traced.inputs)}
        for before in traced.calls[:position]:
            known |= {id(tensor) for tensor in before.output_tensors}
        branch = joined_branch(call, consumers, results)
        if branch and not all(id(tensor) in known for tensor in branch.others):
            branch = None
        self._branch = branch
        self.tensors = [call.input_tensors[0], *(branch.others if branch else ())]

    def values(self, live, index) -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns the input and the other tensors of the sum, of one batch."""
        source, *others = (live.of(tensor)[index] for tensor in self.tensors)
        return source, others

    def samples(self, values, positions):
        """Computes what the layer makes at some positions.

        Args:
            values: What `values` returned.
            positions: The `MapPositions` of the batch.

        Returns:
            Three float32 arrays, one row per position: patches of the inputs, the
            outputs without bias, and what the outputs would have to be to make the
            sum alone. Channels with a small factor contribute little to it, so their
            correction is limited.
        """
        (source, others), layer = values, self.call.op
        at = positions.of_outputs(layer, source)
        inputs = self._rule.patches(layer, source, at).astype(np.float32, copy=False)
        outputs = made = inputs @ self._narrow
        if others:
            factor = self._branch.factor
            low = SMALLEST_FACTOR * np.abs(factor).max()
            factor = np.copysign(np.maximum(np.abs(factor), low), factor)
            rest = [take_positions(_maps(layer, value), at) for value in others]
            rest = sum(part.astype(np.float32, copy=False) for part in rest)
            rest = rest.reshape(len(made), -1) / factor.astype(np.float32)
            made = outputs + rest
        return inputs, outputs, made

    def spectrum(self, moments) -> np.ndarray:
        """Returns the singular values of the outputs, from their `Moments`."""
        layer = self.call.op
        moments.check(layer.name)
        least, rank = floor(layer.compute_dtype), min(self.kernel.shape)
        return principal_deviations(moments.covariance, rank, least)

    def sums(self, live, known, position, exact=False) -> RidgeFolds:
        """Sums up what the fit depends on.

        Args:
            live: `LiveValues` of the fitted layers so far, advanced to this call.
            known: The `OriginalTargets` of the same samples.
            position: The position of the call.
            exact: Whether sums are float64, as in `RidgeFolds`.
        """
        size, outputs = self.kernel.shape
        inside = self._inside(known.samples[position])
        found = RidgeFolds(size if inside else outputs, outputs, FOLDS, exact)
        for index, target in enumerate(known.targets[position]):
            values = self.values(live, index)
            inputs, now, made = self.samples(values, known.positions[index])
            folds = known.folds[index]
            folds = np.repeat(folds, len(inputs) // len(folds))
            found.add(inputs if inside else now, target - made, folds)
        return found

    def basis(self, found) -> LowRank:
        """Returns the basis, by what `sums` returned for all samples."""
        layer, kernel = self.call.op, self.kernel
        bias = keras.ops.convert_to_numpy(layer.bias).astype(np.float64)
        found.check(layer.name)
        found.close()
        update, _, ridge = found.update()
        sums = found.together()
        inside = self._inside(sums.count)
        now = kernel if inside else np.eye(len(update))  # the map of what was added
        before = sums.covariance @ now if inside else sums.covariance
        new, products = now + update, sums.corrected_products(before, update, ridge)
        # A branch makes up for errors of others, and results count as they are.
        if not self._last and not self._branch:
            wanted = sums.target_variance(now, before)
            factors = variance_factors(new, products, wanted)
            new, products = new * factors, products * factors
        target = sums.mean @ now + sums.error + bias
        matrix = new if inside else kernel @ new
        covariance = new.T @ products
        through = sums.mean @ new
        return principal_basis(
            matrix, covariance, through, target, floor(layer.compute_dtype)
        )

    def _inside(self, samples) -> bool:
        """Whether the kernel is corrected, and not the outputs."""
        return len(self.kernel) <= min(LARGEST, samples)


def _maps(layer, outputs):
    """Returns outputs as an array of shape `(batch, positions, channels)`."""
    if getattr(layer, "data_format", "") == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    return outputs.reshape(len(outputs), -1, outputs.shape[-1])
