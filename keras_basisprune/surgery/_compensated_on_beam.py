"""Corrects the layers of a pruned model on a source that is on many machines."""

import dataclasses

from keras_basisprune.data.on_beam.beam_runs import BeamRuns
from keras_basisprune.data.on_beam.checked_batches import checked_batches
from keras_basisprune.data.on_beam.worker_model import WorkerModel
from keras_basisprune.graph.fit_passes import fit_passes
from keras_basisprune.graph.on_beam.drawn_numbers import DrawnNumbers
from keras_basisprune.graph.on_beam.fit_on_beam import fit_on_beam
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.plan import Plan
from keras_basisprune.surgery._compensation import Compensation
from keras_basisprune.surgery._original_outputs import OriginalOutputs, first_calls
from keras_basisprune.surgery.prune import pruned_calls


def compensated_on_beam(model, plan, source, ridge, dtype):
    """Does what `compensate` does, for a `BeamSource`.

    Args:
        model: As for `compensate`, as `plan` and `ridge`, all checked.
        source: A `BeamSource`.
        dtype: Float32 or float64, in which products are computed.

    Returns:
        A smaller Functional `keras.Model`, not compiled.
    """
    pruned_calls(model, plan)  # raises if it does not fit
    runs = BeamRuns(model, source)
    # Loaded as workers load it, so that weights come in their order.
    done = pruned_calls(runs.model.load(), plan)
    both = Compensation(done, ridge, exact=True)
    groups = correction_passes(done, both.old)
    if groups:
        sampling = runs.merged(_Draw(runs.model)).sampling()
        network = CompensationSums(plan.to_json(), dtype)
        fit_on_beam(runs, sampling, groups, done.model, network, both.correct)
    return done.model


def correction_passes(done, old) -> list[list[int]]:
    """Returns the positions of the calls to correct, pass by pass.

    Layers before which nothing was removed have nothing to correct.

    Args:
        done: A `PrunedCalls`.
        old: The `Trace` of the original, depth first.
    """

    def changed(call):
        kept = [done.kept[id(tensor)] for tensor in call.input_tensors]
        return any(k is not None and len(k) < k.total for k in kept)

    return fit_passes(old, dict.fromkeys(first_calls(old.calls), ()), changed)


@dataclasses.dataclass(frozen=True)
class _Draw:
    """The work of the first pass, which divides samples into folds."""

    model: WorkerModel

    def start(self):
        model = self.model.load()

        def draw(batches):
            first, *rest = map(DrawnNumbers, checked_batches(model, batches))
            return sum(rest, start=first)

        return draw


@dataclasses.dataclass(frozen=True)
class CompensationSums:
    """The `network` of a compensation, for `fit_on_beam`.

    Attributes:
        plan: The plan, as JSON.
        dtype: Of products.
    """

    plan: str
    dtype: type

    def start(self, original, weights, positions):
        done = pruned_calls(original, Plan.from_json(self.plan))
        done.model.set_weights(weights)
        both = Compensation(done, exact=True)

        def sums(arrays, drawn):
            given = done.traced, [arrays], self.dtype, drawn, positions
            known, live = OriginalOutputs(*given), LiveValues(both.new, [arrays], list)
            found = {}
            for position in positions:
                live.advance(position)
                folds = both.sums(position, live, known)
                if folds is not None:
                    found[position] = folds
            return found

        return sums
