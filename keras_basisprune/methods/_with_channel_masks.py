"""A copy of a model in which layers weigh channels."""

import dataclasses
from collections.abc import Callable

import keras

from keras_basisprune.graph.channel_groups import groups_of
from keras_basisprune.graph.channel_map import channel_map
from keras_basisprune.graph.channel_places import ChannelPlace, channel_places
from keras_basisprune.graph.check_finite_weights import check_finite_weights
from keras_basisprune.graph.rewrite import flatten, rewrite
from keras_basisprune.graph.trace import Call, Trace, check_model, trace
from keras_basisprune.graph.trained_masks import trained_masks
from keras_basisprune.layers import ChannelGate, ChannelScaling, JoinedMasks


def with_channel_masks(
    model: keras.Model,
    make: type[ChannelGate] | type[ChannelScaling],
    among: Callable | None = None,
    **options,
) -> keras.Model:
    """Puts layers that weigh channels at all `channel_places` of a copy.

    Channels of a layer have one of these, which is called wherever they are read. Where
    they are read together with those of other layers, a `JoinedMasks` holds several.
    Nested models are flattened. Time and memory are those of two copies.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        make: The class of the layers.
        among: A function from a `Trace` and its `ChannelMap` to a boolean array of
            the groups to be weighed. Defaults to all.
        **options: For the layers.

    Returns:
        A Functional `keras.Model`, not compiled; `None` if there are no such places.

    Raises:
        ValueError: If the model is subclassed or not built, a weight is not finite,
            channels are weighed already, or a name is taken.
    """
    check_model("model", model)
    check_finite_weights(model)
    flat = flatten(model)
    traced = trace(flat)
    _check_unprepared(flat, traced, make)
    channels = channel_map(traced)
    groups = groups_of(traced, channels)
    chosen = among(traced, channels) if among else None
    places = channel_places(traced, channels, groups, chosen)
    if not places:
        return None
    widths = {name: len(found) for name, found in groups.layers.items()}
    weighing = _Weighing(places, widths, make, options)
    return rewrite(flat, lambda layer, name: None, weighing.added_to(traced))


def _check_unprepared(flat, traced, make):
    """Raises a `ValueError` if channels are weighed already, or a name is taken."""
    for weighed in trained_masks(traced).values():
        if weighed.kind == "channels":
            raise ValueError(
                "Expected `model` to have no layers yet that weigh channels. Received: "
                f"model={flat.name!r} with `{weighed.layer.name}`. Pass "
                "`fold(prune(model))`, or the model that it was made of."
            )
    names = {layer.name for layer in flat.layers}
    if taken := names & {make.name_for(name) for name in names}:
        raise ValueError(
            "Expected `model` to have no layer of the name that weighing layers get. "
            f"Received: {sorted(taken)[0]!r}. Rename it."
        )


class _Weighing:
    """The layers that weigh the channels of some places.

    Args:
        places: The model's `ChannelPlace`s.
        widths: The number of channels of each layer.
        make: The class of the layers.
        options: Their arguments.
    """

    def __init__(self, places: list[ChannelPlace], widths, make, options):
        self._places, self._widths = places, widths
        self._make, self._options = make, options
        # Maps the names of what is weighed by one layer to this layer.
        self._layers: dict[tuple[str, ...], keras.layers.Layer] = {}
        left = {name for place in places for name in place.names}
        formats = {n: p.data_format for p in places for n in p.names}
        joined = {n for p in places if len(p.parts) > 1 for n in p.names}
        # Those with most layers first: what is read there is all that a layer has.
        for place in sorted(places, key=lambda place: -len(place.names)):
            while own := [name for name in place.names if name in left]:
                own = [name for name in own if formats[name] == formats[own[0]]]
                layer = self._joined if own[0] in joined else self._alone
                self._layers[tuple(own)] = layer(place, own)
                left -= set(own)

    def _alone(self, place, names):
        return self._masks(place, names)[0]

    def _joined(self, place, names):
        return JoinedMasks(
            self._masks(place, names),
            [self._widths[name] for name in names],
            self._order(place, names),
            name=f"{names[0]}_joined",
            **_form(place),
        )

    def _masks(self, place, names):
        return [
            self._make(name=self._make.name_for(name), **_form(place), **self._options)
            for name in names
        ]

    def _order(self, place, names) -> tuple[int, ...]:
        """What a place has of some layers' channels, as `JoinedMasks` is told."""
        order: list[int] = []
        for part in place.parts:
            if part in names:
                order.append(names.index(part))
                continue
            count = part if isinstance(part, int) else self._widths[part]
            if order and order[-1] < 0:
                order[-1] -= count
            else:
                order.append(-count)
        return tuple(order)

    def added_to(self, traced: Trace) -> Trace:
        """Returns a `Trace` with these layers, from which a model can be rebuilt."""
        behind: dict[int, list[Call]] = {}
        instead: dict[tuple[int, int], keras.KerasTensor] = {}
        made = traced.producers()
        for place in self._places:
            weighed = self._weighed(place)
            behind.setdefault(id(made[id(place.tensor)]), []).extend(weighed)
            for reader in place.readers:
                instead[id(reader), id(place.tensor)] = weighed[-1].outputs
        calls: list[Call] = []
        for call in traced.calls:
            given = keras.tree.map_structure(
                lambda value, call=call: instead.get((id(call), id(value)), value),
                {"args": call.args, "kwargs": call.kwargs},
            )
            calls += [dataclasses.replace(call, **given), *behind.get(id(call), ())]
        return dataclasses.replace(traced, calls=calls)

    def _weighed(self, place) -> list[Call]:
        """The calls of the layers that weigh a place's channels, one after another."""
        calls: list[Call] = []
        for names, layer in self._layers.items():
            if not set(names) & set(place.names):
                continue
            tensor = calls[-1].outputs if calls else place.tensor
            if not layer.built:
                layer.build(tensor.shape)
            given = {}
            if isinstance(layer, JoinedMasks):
                order = self._order(place, list(names))
                given = {} if list(order) == layer.order else {"parts": order}
            output = keras.KerasTensor(tensor.shape, dtype=tensor.dtype)
            calls.append(Call(layer, (tensor,), given, output))
        return calls


def _form(place) -> dict[str, str]:
    """The format, and a policy in whose variables small steps are not lost."""
    dtype = place.tensor.dtype
    half = dtype in ("float16", "bfloat16")
    return {
        "data_format": place.data_format,
        "dtype": f"mixed_{dtype}" if half else dtype,
    }
