"""Bars of the ranks and channels that each layer kept."""

from keras_basisprune.report.charts._style import LIGHT, figure, literal, short

_WIDE = {"pitch": 26, "longest": 34, "width": 0.36}
_WIDE |= {"top": -0.4, "alone": -0.18, "bottom": 0.04}
# With the name above the bars, if there is no room beside them.
_NARROW = {"pitch": 44, "longest": 38, "width": 0.22}
_NARROW |= {"top": -0.1, "alone": -0.05, "bottom": 0.15}
_SHARES = {
    "range": [0, 100],
    "side": "top",
    "tickvals": [0, 50, 100],
    "ticktext": ["0", "50 %", "100 %"],
    "fixedrange": True,
}


def layer_bars(report, narrow=False) -> dict | None:
    """Draws bars of kept ranks and channels, one below the other for each layer.

    Args:
        report: The contents of a `report.json`.
        narrow: Whether the names stand above the bars instead of beside them.

    Returns:
        A Plotly figure, as high as needed; None if no layer has numbers.
    """
    layers = [layer for layer in report["layers"] if layer["rank"] or layer["channels"]]
    if not layers:
        return None
    places = _NARROW if narrow else _WIDE
    traces = []
    for key, color in (("rank", "first"), ("channels", "second")):
        rows = [row for row, layer in enumerate(layers) if layer[key]]
        if rows:
            traces += _pair(layers, rows, key, color, places)
    names = [short(layer["name"], places["longest"]) for layer in layers]
    beside = {"ticktext": names, "tickvals": list(range(len(names)))}
    if narrow:
        traces.append(_names_above(names))
        beside = {"showticklabels": False}
    return figure(
        traces,
        places["pitch"] * len(layers) + 48,
        barmode="overlay",
        margin={"l": 8, "r": 76, "t": 36, "b": 12},
        xaxis=_SHARES,
        yaxis={
            **beside,
            "range": [len(layers) - 0.4, -0.6],
            "ticks": "",
            "showgrid": False,
            "fixedrange": True,
        },
    )


def _pair(layers, rows, key, color, places):
    """Returns grey bars of the totals, and over them bars of what was kept."""
    pairs = [layers[row][key] for row in rows]
    shared = {
        "type": "bar",
        "orientation": "h",
        "y": rows,
        "width": places["width"],
        "offset": [_offset(layers[row], key, places) for row in rows],
        "cliponaxis": False,
        "customdata": [
            [literal(layers[row]["name"]), f"{kept} of {total}"]
            for row, (kept, total) in zip(rows, pairs, strict=True)
        ],
        "hovertemplate": f"%{{customdata[0]}}<br>{key}: %{{customdata[1]}}"
        "<extra></extra>",
    }
    every = {
        **shared,
        "name": f"all {key}",
        "x": [100] * len(rows),
        "text": [f"{kept} / {total}" for kept, total in pairs],
        "textposition": "outside",
        "textangle": 0,
        "constraintext": "none",
        "textfont": {"size": 10, "color": LIGHT["muted"]},
        "marker": {"color": LIGHT["rest"]},
    }
    kept = {
        **shared,
        "name": f"kept {key}",
        "x": [100 * kept / total if total else 0 for kept, total in pairs],
        "marker": {"color": LIGHT[color]},
    }
    return [every, kept]


def _offset(layer, key, places):
    """Returns the offset of a bar: ranks above, channels below."""
    if not (layer["rank"] and layer["channels"]):
        return places["alone"]
    return places["top"] if key == "rank" else places["bottom"]


def _names_above(names):
    return {
        "type": "scatter",
        "mode": "text",
        "x": [0] * len(names),
        "y": [row - 0.28 for row in range(len(names))],
        "text": names,
        "textposition": "middle right",
        "textfont": {"size": 11, "color": LIGHT["text"]},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
