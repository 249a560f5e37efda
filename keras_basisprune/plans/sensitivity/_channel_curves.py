"""The loss of a network's outputs as the channels of one layer are removed."""

import collections
import contextlib
import dataclasses

import keras
import numpy as np
from tqdm.auto import tqdm

from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.map_positions import MapPositions
from keras_basisprune.graph.running import run_calls
from keras_basisprune.graph.trace import trace
from keras_basisprune.plans._channel_choice import makers_of
from keras_basisprune.plans.channel_blocks import channel_blocks
from keras_basisprune.plans.sensitivity._fitted_reader import FittedReader
from keras_basisprune.plans.sensitivity._judged_network import (
    JudgedNetwork,
    restored,
)
from keras_basisprune.plans.sensitivity._masked_call import MaskedCall
from keras_basisprune.plans.sensitivity.loss_curve import LossCurve

_POSITIONS = 64  # per image and map, at most


def channel_curves(
    copy, scores, original, fitted, judged, shares, ridge, verbose
) -> tuple[list[LossCurve], float]:
    """Measures the `LossCurve` of each block of channels.

    Args:
        copy: A copy of the model, whose weights are changed, and restored.
        scores: Scores of its groups of channels: the lowest leave first.
        original: The model whose outputs are wanted, or `None` for those of `copy`.
        fitted: Batches that corrections are fitted on.
        judged: Batches that the loss is measured on.
        shares: Descending floats in (0, 1), the shares of a block that are kept.
        ridge: Float > 0.
        verbose: Whether to show a progress bar.

    Returns:
        A pair of a list of curves, and of the loss before anything is removed.
    """
    traced = trace(copy)
    channels = channel_map(traced)
    readers = _readers(traced, channels)
    _add_statistics(traced, readers, fitted)
    masked, calls = _masked(traced, channels, readers)
    network = JudgedNetwork(dataclasses.replace(traced, calls=calls), original, judged)
    blocks = [
        _Block(block, readers, masked)
        for block in channel_blocks(traced, channels, scores)
    ]
    makers, curves = makers_of(traced, channels), {}
    ordered = sorted(blocks, key=lambda block: block.position)
    for block in tqdm(ordered, unit="block", disable=not verbose):
        if block.position < len(calls):
            network.advance(block.position)
        found = makers[block.name]
        curves[block.name] = block.curve(found, scores, network, shares, ridge)
    return [curves[block.name] for block in blocks], network.loss


class _Block:
    """A block of channels, and what reads them."""

    def __init__(self, block, readers, masked):
        self.name, self._groups = block.name, block.groups
        self._readers = [one for one in readers if one.reads(block.groups)]
        self._masked = [
            one for _, one in masked if np.isin(one.groups, block.groups).any()
        ]
        places = [one.position for one in self._readers]
        places += [place for place, one in masked if one in self._masked]
        self.position = min(places, default=np.inf)

    def curve(self, found, scores, network, shares, ridge) -> LossCurve:
        """Measures the losses at some shares; weights are restored."""
        count = len(self._groups)
        removed = sorted({round((1 - share) * count) for share in shares} - {0})
        variables = [weight for one in self._readers for weight in one.variables]
        losses = []
        for number in removed if self.position < np.inf else ():
            gone = self._groups[:number]
            with restored(variables), self._without(gone):
                for reader in self._readers:
                    reader.correct(gone, ridge)
                losses.append(network.loss_from(self.position))
        first = {group: place for place, group in reversed(list(enumerate(found)))}
        if not losses:  # nothing reads these channels
            losses = [network.loss] * len(removed)
        return LossCurve(
            self.name,
            "channels",
            len(found),
            tuple(int(first[group]) for group in self._groups),
            tuple(map(float, np.maximum.accumulate(scores[self._groups]))),
            tuple(removed),
            tuple(max(0.0, float(loss - network.loss)) for loss in losses),
        )

    @contextlib.contextmanager
    def _without(self, groups):
        try:
            for one in self._masked:
                one.remove(groups)
            yield
        finally:
            for one in self._masked:
                one.remove(())


def _readers(traced, channels) -> list[FittedReader]:
    """Returns the layers that `compensate` corrects, by their first calls."""
    consumers, found = traced.consumers(), {}
    counts = collections.Counter(id(call.op) for call in traced.calls)
    for position, call in enumerate(traced.calls):
        if id(call.op) not in found:
            found[id(call.op)] = FittedReader.of(
                position, call, channels, consumers, counts
            )
    return [reader for reader in found.values() if reader is not None]


def _masked(traced, channels, readers):
    """Returns the calls that read channels, pass none on, and are not corrected.

    Returns:
        A list of pairs of a position and a `MaskedCall`, and all calls, with these.
    """
    fitted = {id(traced.calls[reader.position].op) for reader in readers}
    masked, calls = [], list(traced.calls)
    for position, call in enumerate(traced.calls):
        read = _groups(call.input_tensors, channels)
        passed = _groups(call.output_tensors, channels)
        if id(call.op) not in fitted and len(np.setdiff1d(read, passed)):
            one, calls[position] = MaskedCall.in_place_of(call, channels)
            masked.append((position, one))
    return masked, calls


def _groups(tensors, channels):
    found = [of for of in map(channels.of, tensors) if of is not None]
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))


def _add_statistics(traced, readers, batches):
    """Runs the network once, batch by batch, for the statistics of all readers."""
    inputs = [id(tensor) for tensor in keras.tree.flatten(traced.inputs)]
    wanted = {id(reader.tensor) for reader in readers} - set(inputs)
    for arrays in batches:
        positions = MapPositions(arrays, _POSITIONS)
        values = dict(zip(inputs, ([array] for array in arrays), strict=True))
        values |= run_calls(traced.calls, values, wanted)
        for reader in readers:
            reader.add(values[id(reader.tensor)][0], positions)
    for reader in readers:
        reader.check()
