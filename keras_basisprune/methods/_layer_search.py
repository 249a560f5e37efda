"""Layer after layer, the most channels without which a network is good enough."""

from tqdm.auto import tqdm


class LayerSearch:
    """Binary search in every block of channels, under a floor that falls.

    Args:
        pruning: A `VirtualPruning`.
        blocks: A list of `ChannelBlock`s.
        data: A `JudgedData`.

    Attributes:
        blocks: The blocks in the order in which they are decided on: that in which the
            network comes to what reads them.
        baseline: Float, the accuracy of the original; 1 for the agreement with itself.
    """

    def __init__(self, pruning, blocks, data):
        self._pruning, self._data = pruning, data
        self.blocks = sorted(blocks, key=lambda block: pruning.first_end(block.groups))
        found = data.answers(pruning.answers())
        self._right = found if data.labels is None else data.labels
        self.baseline = data.share(found == self._right)

    def run(self, max_drop, least, verbose=False) -> list[int]:
        """Decides on all blocks, in order.

        Args:
            max_drop: Float, what the network may lose when all layers are done.
            least: A list of integers, one per block: the step of `counts` that it is
                cut to at least.
            verbose: Whether to show a progress bar.

        Returns:
            A list of integers, one per block: the step of `counts`.
        """
        self._pruning.reset()
        found, total = [], len(self.blocks)
        bar = tqdm(self.blocks, unit="layer", disable=not verbose)
        for number, block in enumerate(bar, start=1):
            floor = floor_at(self.baseline, max_drop, number, total)
            self._pruning.enter(block.groups)
            found.append(self._largest(block, least[number - 1], floor))
            self._leave(block, found[-1])
            self._pruning.decide()
        return found

    def _largest(self, block, low, floor) -> int:
        """The largest step that stays above a floor, if larger ones do worse."""
        high = len(block.counts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            self._leave(block, middle)
            right = self._data.answers(self._pruning.answers()) == self._right
            if self._data.share(right) >= floor - 1e-9:
                low = middle
            else:
                high = middle - 1
        return low

    def _leave(self, block, step):
        self._pruning.leave(block.groups, block.groups[: block.counts[step]])


def floor_at(baseline, max_drop, number, total) -> float:
    """The least that a network must be worth after a number of layers of all.

    Args:
        baseline: Float, what the original is worth.
        max_drop: Float, what may be lost in the end.
        number: Integer from 1 to `total`: the layer that is decided on.
        total: Integer, the number of layers.

    Example:

    >>> [floor_at(0.9, 0.04, layer, 4) for layer in (1, 2, 4)]
    [0.89, 0.88, 0.86]
    """
    return baseline - max_drop * number / total
