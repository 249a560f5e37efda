"""A model whose loss has a penalty on the cost that its gates leave."""

import keras
import numpy as np
from keras import ops

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.trace import trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import ChannelGate
from keras_basisprune.measure.expected_cost import ExpectedCost


class GatedModel(keras.Model):
    """A model with gates and its cost, for training only: it shares all layers.

    The loss in training is that of the task plus `pressure` times the cost of the
    channels that pass, as a share of the whole model's.

    Args:
        model: A Functional `keras.Model` with `ChannelGate`s.
        cost: `"flops"` or `"params"`.
    """

    def __init__(self, model, cost):
        super().__init__(model.inputs, model.outputs, name=model.name)
        self.pressure = self.add_weight((), "ones", trainable=False, name="pressure")
        self.budget = GateBudget(model, cost)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training:
            loss = loss + ops.cast(self.pressure * self.budget.share(), loss.dtype)
        return loss


class GateBudget:
    """The gates of a model, and what the model costs by them.

    Args:
        model: A `keras.Model` with `ChannelGate`s.
        cost: `"flops"` or `"params"`.
    """

    def __init__(self, model, cost):
        traced = trace(model)
        channels = channel_map(traced)
        groups = groups_of(traced, channels).layers
        layers = [weighed.layer for weighed in trained_masks(traced).values()]
        # In a function, so that Keras doesn't track them as parts of another layer.
        gates = tuple(layer for layer in layers if isinstance(layer, ChannelGate))
        self.gates = lambda: gates
        self.cost = ExpectedCost(traced, channels, cost)
        self.ends = np.cumsum([gate.scale.shape[0] for gate in gates])[:-1]
        # Which of all logits in a row is that of each group; the one behind is open.
        self._which = np.full(channels.count, sum(g.scale.shape[0] for g in gates))
        place = 0
        for gate in gates:
            of = groups[gate.weighs[1]]
            self._which[of] = np.arange(place, place + len(of))
            place += len(of)

    def share(self):
        """The expected share of the cost: a tensor with a gradient."""
        passed = [
            ops.cast(gate.multipliers(training=True), "float32")
            for gate in self.gates()
        ]
        row = ops.concatenate([*passed, ops.ones((1,), "float32")])
        return self.cost.share(ops.take(row, self._which))

    def share_of(self, opened) -> float:
        """The share of the cost that is left with the gates that are open.

        Args:
            opened: Boolean array, of all gates in a row.
        """
        return self.cost(np.append(opened, True)[self._which]) / self.cost.whole

    def logits(self) -> np.ndarray:
        """Those of all gates in a row; of masked ones minus infinity."""
        return np.concatenate(
            [
                np.where(_array(gate.mask) > 0, _array(gate.scale), -np.inf)
                for gate in self.gates()
            ]
        )

    def assign(self, logits):
        """Sets the logits of all gates but masked ones."""
        for gate, values in zip(self.gates(), self.parts(logits), strict=True):
            known = np.isfinite(values)
            gate.scale.assign(np.where(known, values, _array(gate.scale)))

    def parts(self, row) -> list[np.ndarray]:
        """A row of numbers for all gates, split by layers."""
        return np.split(row, self.ends)

    def strongest(self, logits) -> np.ndarray:
        """Boolean array: the gate with the largest logit of each layer."""
        parts = self.parts(logits)
        return np.concatenate([np.arange(len(p)) == np.argmax(p) for p in parts])

    def opened(self, logits, share) -> np.ndarray:
        """The gates with the largest logits that a share of the cost allows for.

        Args:
            logits: Float array, of all gates in a row.
            share: Float, the largest share.

        Returns:
            A boolean array; of each layer at least one is open.
        """
        first = self.strongest(logits)
        order = np.argsort(-logits, kind="stable")
        order = order[~first[order] & np.isfinite(logits[order])]
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            found = first.copy()
            found[order[:middle]] = True
            fits = self.share_of(found) <= share * (1 + 1e-9)
            low, high = (middle, high) if fits else (low, middle - 1)
        first[order[:low]] = True
        return first

    def filled(self, opened, logits, share) -> np.ndarray:
        """The same with more gates, as long as one of a layer's strongest fits in.

        Args:
            opened: Boolean array, of all gates in a row.
            logits: Float array.
            share: Float, the largest share of the cost.
        """
        opened, layer = opened.copy(), np.zeros(len(opened), int)
        for end in self.ends:
            layer[end:] += 1
        closed = np.flatnonzero(~opened & np.isfinite(logits))
        full: set[int] = set()  # layers of which no gate fits in any more
        for place in closed[np.argsort(-logits[closed], kind="stable")]:
            if layer[place] not in full:
                opened[place] = True
                if self.share_of(opened) > share * (1 + 1e-9):
                    opened[place] = False
                    full.add(layer[place])
        return opened


def _array(variable):
    return ops.convert_to_numpy(variable.value).astype(np.float64)
