"""Rules for layers that scale channels, whatever class they are."""

import keras
import numpy as np

from keras_basisprune.graph.rules.registry import channel_rule
from keras_basisprune.graph.rules.rule import Rule
from keras_basisprune.layers import JoinedMasks, TrainedMask


@channel_rule(TrainedMask)
class TrainedMaskRule(Rule):
    """One number per channel in each weight. Subclasses need no rule."""

    scales = "any"

    def weights(self, layer):
        """Names the weights with the shape of `scale`."""
        return [
            name
            for name, value in vars(layer).items()
            if isinstance(value, keras.Variable) and value.shape == layer.scale.shape
        ]

    def propagate(self, layer, inputs, flow):
        """Passes the scaled channels on."""
        (source,) = inputs
        kind, name = layer.weighs
        if kind != "channels":
            return flow.stop(inputs, f"no rule for `{layer.name}`, which scales {kind}")
        axis = flow.channel_axis(flow.call.input_tensors[0])
        if source.axis != axis or len(source) != layer.scale.shape[0]:
            flow.pin(source.ids, f"`{layer.name}` scales another axis")
        return source

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights per channel."""
        kept = kept_in[0]
        names = self.weights(layer) if kept.total == layer.scale.shape[0] else ()
        return {}, {name: kept.take(getattr(layer, name)) for name in names}


@channel_rule(JoinedMasks)
class JoinedMasksRule(TrainedMaskRule):
    """The channels of several layers, in a selection that differs by call."""

    free = True

    def weights(self, layer):
        """Names those of each part."""
        return [
            f"part_{number}.{name}"
            for number, part in enumerate(layer.parts())
            for name in super(JoinedMasksRule, self).weights(part)
        ]

    def propagate(self, layer, inputs, flow):
        """Ties the channels of a part wherever it is read."""
        (source,) = inputs
        slices = layer.slices(flow.call.kwargs.get("parts"))
        axis = flow.channel_axis(flow.call.input_tensors[0])
        if source.axis != axis or len(source) != slices[-1][-1]:
            flow.pin(source.ids, f"`{layer.name}` scales another axis")
            return source
        for part, start, stop in slices:
            if part >= 0:
                flow.unite(flow.make(stop - start, part), source.ids[start:stop])
        return source

    def cut(self, layer, kept_in, kept_out):
        """Cuts all weights per channel, if this is a call that shows all parts."""
        kept = kept_in[0]
        if kept.total != layer.width():
            return {}, {}
        order, widths, weights = [], list(layer.widths), {}
        for part, start, stop in layer.slices():
            at = _inside(kept, start, stop)
            if part < 0:
                order += [-len(at)] * bool(len(at))
                continue
            order.append(part)
            widths[part] = len(at)
            mask = layer.parts()[part]
            for name in super().weights(mask):
                weight = keras.ops.convert_to_numpy(getattr(mask, name))
                weights[f"part_{part}.{name}"] = weight[at]
        return {"widths": widths, "order": order}, weights

    def arguments(self, call, kept_in, kept_out):
        """Counts the channels that are left of those that are not weighed."""
        parts = call.kwargs.get("parts")
        if parts is None:
            return call.args, call.kwargs
        left = [
            part if part >= 0 else -len(_inside(kept_in[0], start, stop))
            for part, start, stop in call.op.slices(parts)
            if part >= 0 or len(_inside(kept_in[0], start, stop))
        ]
        return call.args, {**call.kwargs, "parts": tuple(left)}


def _inside(kept, start, stop) -> np.ndarray:
    """The kept channels of a slice, counted from its start."""
    found = kept.indices
    return found[(found >= start) & (found < stop)] - start
