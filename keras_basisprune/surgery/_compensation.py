"""Corrects the layers of a pruned model, one after the other."""

import collections
import dataclasses

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.graph.depth_first import depth_first
from keras_basisprune.graph.makes_result import makes_result
from keras_basisprune.graph.output_positions import output_positions
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import FOLDS
from keras_basisprune.linalg import RidgeFolds, variance_factors
from keras_basisprune.surgery.linear_call import LinearCall


class Compensation:
    """Runs the original and the pruned model side by side.

    Args:
        done: A `PrunedCalls`.
        ridge: As in `compensate`.
        exact: Whether sums are float64, as in `RidgeFolds`.

    Attributes:
        old: The original's `Trace`, depth first.
        new: That of the pruned model, whose calls correspond.
    """

    def __init__(self, done, ridge=None, exact=False):
        self._ridge, self._exact = ridge, exact
        self._pruned, self._kept = done.model, done.kept
        self.old = old = depth_first(done.traced)
        # The calls of the pruned model, in the order of those of the original.
        self.new = new = dataclasses.replace(
            old,
            inputs=keras.tree.pack_sequence_as(old.inputs, done.model.inputs),
            calls=[done.calls[id(call)] for call in old.calls],
            outputs=keras.tree.pack_sequence_as(old.outputs, done.model.outputs),
        )
        self._readers = new.consumers()
        self._results = {id(t) for t in keras.tree.flatten(new.outputs)}
        self._calls = collections.Counter(id(call.op) for call in new.calls)

    def run(self, batches, known, verbose) -> keras.Model:
        """Corrects all layers, in order.

        Args:
            batches: `KeptBatches`.
            known: The `OriginalOutputs` of them.
            verbose: Whether to show a progress bar.

        Returns:
            The pruned model.
        """
        live = LiveValues(self.new, batches)
        for position in tqdm(known.made, unit="layer", disable=not verbose):
            live.advance(position)
            found = self.sums(position, live, known)
            if found is not None:
                self.correct(position, found)
        return self._pruned

    def sums(self, position, live, known) -> RidgeFolds | None:
        """Sums up what the correction of a layer depends on.

        Args:
            position: Integer, the position of its call.
            live: `LiveValues` of the pruned model, advanced to there.
            known: The `OriginalOutputs` of the same samples.

        Returns:
            `RidgeFolds`, or `None` for a layer that can't be corrected.
        """
        old, new = self.old.calls[position], self.new.calls[position]
        values = live.of(new.input_tensors[0])
        sizes = [output_positions(new.op, shape) for shape in values_shapes(values)]
        if sizes != known.sizes[position]:
            return None  # it reads along another axis than that of the channels
        kept = self._kept[id(old.output_tensors[0])]
        linear = self._linear(position)
        now = linear.matrix
        if not linear.settable(now):
            return None  # its weights can't be computed from its matrix
        size, outputs = now.shape
        found = RidgeFolds(size, outputs, FOLDS, self._exact)
        narrow = now.astype(known.dtype)
        for index, size in enumerate(sizes):
            inputs = linear.patches(values[index], known.positions[index].of_map(size))
            inputs = inputs.astype(known.dtype, copy=False)
            made = known.made[position][index]
            if kept is not None and kept.total == made.shape[1]:
                made = np.take(made, kept.indices, axis=1)
            folds = known.folds[index]
            folds = np.repeat(folds, len(inputs) // len(folds))
            found.add(inputs, made - inputs @ narrow, folds)
        return found

    def correct(self, position, found):
        """Corrects one layer, by what `sums` returned for all samples."""
        new, linear = self.new.calls[position], self._linear(position)
        now, offset = linear.matrix, linear.offset
        found.check(new.op.name)
        found.close()
        given = self._ridge, offset is not None
        update, shift, ridge = found.update(*given)
        matrix = now + update
        inside = not makes_result(new, self._readers, self._results)
        if self._ridge is None and offset is not None and inside:
            sums = found.together()
            products = sums.covariance @ now
            wanted = sums.target_variance(now, products)
            products = sums.corrected_products(products, update, ridge)
            scaled = matrix * variance_factors(matrix, products, wanted)
            shift = shift + sums.mean @ (matrix - scaled)
            matrix = scaled
        linear.assign(matrix)
        if offset is not None:
            sign, weight = offset
            weight.assign(keras.ops.convert_to_numpy(weight) + sign * shift)

    def _linear(self, position) -> LinearCall:
        return LinearCall(self.new.calls[position], self._readers, self._calls)


def values_shapes(values) -> list[tuple]:
    """Returns the shapes of arrays, without reading those on disk."""
    found = getattr(values, "shapes", None)
    return [value.shape for value in values] if found is None else found
