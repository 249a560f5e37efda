"""What the layers of the original make, for a regression."""

from keras_basisprune.data.spilled_list import SpilledList
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.running import LiveValues
from keras_basisprune.graph.sample_folds import sample_folds
from keras_basisprune.linalg import Moments


class OriginalTargets:
    """What layers should make, at some positions of each sample.

    Computed in one pass, batch by batch; on disk beyond some memory (`data.spilling`):
    about 30,000 numbers per output channel.

    Args:
        traced: The `Trace` of a twin, with the weights of the original.
        fits: Maps the positions of calls, ascending, to `FittedCall`s.
        batches: `KeptBatches`.
        spectra: Whether the covariances of what layers make are computed too.
        drawn: Pair of a list of `MapPositions` and a list of folds, one per batch;
            `None` to draw them for these batches.
        of: Integer, the number of all samples, if these batches are a part of them.

    Attributes:
        positions: List of `MapPositions`, one per batch.
        folds: List of integer arrays, one per batch: the fold of each sample.
        targets: Maps the positions of calls to float32 arrays, one per batch.
        samples: Maps them to the number of rows of all samples.
        moments: Maps them to `Moments` of the outputs; empty without `spectra`.
    """

    def __init__(self, traced, fits, batches, spectra=False, drawn=None, of=None):
        if drawn is None:
            drawn = MapPositions.for_fitting(batches), sample_folds(batches)
        self.positions, self.folds = drawn
        self.targets = {position: SpilledList() for position in fits}
        self.samples = dict.fromkeys(fits, 0)
        self.moments = {}
        if spectra:
            sizes = {position: fit.kernel.shape[1] for position, fit in fits.items()}
            self.moments = {position: Moments(size) for position, size in sizes.items()}
        for arrays, positions in zip(batches, self.positions, strict=True):
            live = LiveValues(traced, [arrays], list)
            for position, fit in fits.items():
                live.advance(position)
                _, outputs, made = fit.samples(fit.values(live, 0), positions)
                self.targets[position].append(made)
                self.samples[position] += len(made)
                if spectra:
                    self.moments[position].add(outputs)
        if of is not None:
            here = sum(map(len, self.folds))
            self.samples = {p: n * of // here for p, n in self.samples.items()}
