"""Where channels that convolutions make are read."""

import dataclasses

import keras
import numpy as np

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.factors_pass import factors_pass
from keras_basisprune.graph.rules import known, rules_of
from keras_basisprune.graph.trace import Call, Trace


@dataclasses.dataclass
class Site:
    """A tensor whose channels are to be weighed, and who reads them then.

    Attributes:
        tensor: The `KerasTensor`.
        readers: The calls that read it behind the scales. Others (a sum) read the
            tensor as it is.
        layer: Name of the layer whose channels they are; tensors of the same channels
            have the same.
        data_format: Where the channel axis is.
    """

    tensor: keras.KerasTensor
    readers: list[Call]
    layer: str = ""
    data_format: str = "channels_last"


def convolutions(traced: Trace) -> list[Call]:
    """The calls of layers that have filters and make maps, sequences or volumes."""
    return [
        call
        for call in traced.calls
        if len(call.output_tensors[0].shape) > 2
        and known(call.op, "filters", call.op) is not None
    ]


def scaling_sites(traced: Trace) -> list[Site]:
    """Finds the places where channels can be weighed, so that zeros are as good as cut.

    A group of channels is weighed if a convolution makes it, it may leave, and all that
    reads it by weights can do so behind scales, with nothing in between that makes
    something of zeros. Scales stand in front of what reads by weights: behind
    BatchNormalization and activation, in front of pooling. Groups are left out that a
    layer reads which normalizes across channels, or an unknown one; and those that
    BatchNormalization reads together with others, in several compositions (the
    concatenations of DenseNet).

    Args:
        traced: A `Trace` of a flat model.

    Returns:
        A list of `Site`s, in order of execution. Time is linear in calls and channels.
    """
    return _Search(traced).run()


class _Search:
    def __init__(self, traced):
        self._traced = traced
        self._channels = channel_map(traced)
        self._consumers, self._producers = traced.consumers(), traced.producers()
        self._results = {id(t) for t in keras.tree.flatten(traced.outputs)}
        self._reads = {id(call): self._read_by(call) for call in traced.calls}
        self._names: dict[tuple, str] = {}
        for name, of in groups_of(traced, self._channels).layers.items():
            self._names.setdefault(tuple(of.tolist()), name)
        self._sites: dict[int, Site] = {}
        self._wanted: dict[int, bool] = {}
        self._seen: set[tuple[int, int]] = set()

    def run(self) -> list[Site]:
        for call in self._traced.calls:
            for tensor in self._reads[id(call)]:
                self._place(call, tensor)
        sites = self._usable()
        order = {id(t): n for n, t in enumerate(self._made())}
        return sorted(sites, key=lambda site: order[id(site.tensor)])

    def _made(self):
        return [t for call in self._traced.calls for t in call.output_tensors]

    def _read_by(self, call) -> list:
        """The tensors whose channels a call multiplies by weights."""
        found = []
        for read in known(call.op, "reads", call.op, call) or ():
            channels = self._channels.tensors.get(id(read.tensor))
            axis = len(read.tensor.shape) - 1
            if channels is not None and not (read.last and channels.axis != axis):
                found.append(read.tensor)
        return found

    def _place(self, call, tensor):
        """Has a call read a tensor behind scales, or what the tensor is made of."""
        if (id(call), id(tensor)) in self._seen:
            return
        self._seen.add((id(call), id(tensor)))
        producer = self._producers.get(id(tensor))
        if producer is not None and factors_pass(producer.op):
            apart = self._apart(tensor, producer)
            if self._only_read(tensor) if apart is None else apart:
                for source in producer.input_tensors:
                    self._place(producer, source)
                return
        if producer is not None:
            site = self._sites.setdefault(id(tensor), Site(tensor, []))
            site.readers.append(call)

    def _apart(self, tensor, producer) -> bool | None:
        """Whether channels are weighed before a layer brings them together.

        Behind it, if another layer makes or reads just these; `None` if it does not
        matter.
        """
        of = self._channels.of(tensor)
        if of is not None and len(np.unique(of)) < len(of):
            return True
        if len(producer.input_tensors) > 1:
            return of is None or tuple(of.tolist()) not in self._names
        return None

    def _only_read(self, tensor) -> bool:
        """Whether all that reads a tensor does so by weights, and it is no output."""
        key = id(tensor)
        if key not in self._wanted:
            self._wanted[key] = key not in self._results and all(
                any(tensor is t for t in self._reads[id(call)])
                or (factors_pass(call.op) and self._only_read(call.output_tensors[0]))
                for call in self._consumers.get(key, ())
            )
        return self._wanted[key]

    def _usable(self) -> list[Site]:
        """The sites of those groups that can be weighed wherever they are read."""
        stays = self._stays()
        found = {key: self._channels.of(s.tensor) for key, s in self._sites.items()}
        formats: dict[tuple, str] = {}
        for key, of in found.items():
            if of is None:
                continue
            form, site = tuple(of.tolist()), self._sites[key]
            site.layer, site.data_format = self._names.get(form, ""), self._format(site)
            if len(site.tensor.shape) > 2:
                alike = formats.setdefault(form, site.data_format) == site.data_format
                stays[of] |= not alike
            stays[of] |= not site.layer or not site.data_format
            stays[of] |= len(np.unique(of)) < len(of)
        forms = {form: np.array(form) for form in map(tuple, _lists(found))}
        times = np.zeros(len(stays), int)
        for of in forms.values():
            times[np.unique(of)] += 1
        stays |= times > 1
        while any(stays[of].any() and not stays[of].all() for of in forms.values()):
            for of in forms.values():
                stays[of] |= stays[of].any()
        sites = []
        for key, of in found.items():
            if of is not None and not stays[of].any():
                site, form = self._sites[key], tuple(of.tolist())
                site.data_format = formats.get(form, site.data_format)
                sites.append(site)
        return sites

    def _format(self, site) -> str:
        axis = self._channels.tensors[id(site.tensor)].axis
        if axis == len(site.tensor.shape) - 1:
            return "channels_last"
        return "channels_first" if axis == 1 else ""

    def _stays(self) -> np.ndarray:
        """Boolean array of the groups that are not weighed, wherever they are read."""
        made = np.zeros(self._channels.count, bool)
        for call in convolutions(self._traced):
            of = self._channels.of(call.output_tensors[0])
            if of is not None:
                made[of] = True
        stays = ~made
        stays[list(self._channels.pinned)] = True
        for call in self._traced.calls:
            after = [self._channels.of(t) for t in call.output_tensors]
            passed = np.concatenate([[-1], *(of for of in after if of is not None)])
            read = {id(t) for t in self._reads[id(call)]}
            unlike = call.op.name in self._channels.mixing or not rules_of(call.op)
            for tensor in call.input_tensors:
                of = self._channels.of(tensor)
                if of is None or id(tensor) in read:
                    continue
                if unlike or not np.isin(of, passed).all():
                    stays[of] = True
        return stays


def _lists(found):
    return [of.tolist() for of in found.values() if of is not None]
