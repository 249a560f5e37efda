"""Chooses the layers of a model to decompose."""

from keras_basisprune.graph.decomposable import decomposable, decomposed_by_default
from keras_basisprune.graph.match_layers import match_layers
from keras_basisprune.graph.nothing_to_decompose import NothingToDecompose
from keras_basisprune.utils.shortened import shortened


def chosen_layers(layers, include, exclude) -> set[int]:
    """Picks the layers that the caller asks for and that can be decomposed.

    Args:
        layers: All layers of a model, each once.
        include: As in `convert`.
        exclude: As in `convert`.

    Returns:
        The `id`s of these layers.

    Raises:
        NothingToDecompose: If no layer remains.
        ValueError: If a name or expression matches no layer.
    """
    if include is None:
        include = decomposed_by_default
    if exclude is None:
        exclude = ()
    wanted = match_layers(layers, include, "include")
    unwanted = {id(x) for x in match_layers(layers, exclude, "exclude")}
    chosen = [x for x in wanted if id(x) not in unwanted and decomposable(x) is None]
    if not chosen:
        raise NothingToDecompose(
            "Expected `model` to have a layer that can be decomposed. Received: "
            f"{_reasons(layers)}. Dense layers are decomposed if `include` "
            "asks for them, for example `include=keras.layers.Dense`."
        )
    return {id(x) for x in chosen}


def _reasons(layers) -> str:
    rows = []
    for layer in layers:
        reason = decomposable(layer)
        if reason is None:
            reason = "not chosen by `include` and `exclude`"
        if reason:
            rows.append(f"`{layer.name}` ({reason})")
    return shortened(rows, between="; ") or "a model without kernels"
