"""Scores of all trials against the share that they kept."""

from keras_basisprune.report._text import score_scale, score_sign
from keras_basisprune.report.charts._style import LIGHT, figure

_TICKS = [a * 10.0**b for b in range(-4, 3) for a in (1, 2, 5)]  # per cent


def trade_off(report, objective) -> dict | None:
    """Draws scores by the share of the objective that was kept.

    Args:
        report: The contents of a `report.json`.
        objective: The name of the objective, e.g. `"FLOPs"`.

    Returns:
        A Plotly figure, whose traces with `meta="trials"` have one point per trial
        with a score, in per cent; None if there is no such trial. Its `meta` holds
        a range of scores to zoom in on, if that helps.
    """
    trials = [trial for trial in report["trials"] if _is_drawable(trial)]
    if not trials:
        return None
    scale, sign = score_scale(report), score_sign(report)
    traces = [_frontier(trials, scale, sign)]
    for trained in (False, True):
        group = [trial for trial in trials if bool(trial["trained"]) == trained]
        if group:
            traces.append(_points(group, trained, objective, report))
    chosen = report["chosen"]
    if chosen is not None and _is_drawable(report["trials"][chosen]):
        traces.append(_ring(report["trials"][chosen], scale))
    ticks = _ticks([100 * trial["kept"] for trial in trials])
    return figure(
        traces,
        420,
        xaxis={
            "type": "log",
            "title": f"{objective} kept",
            "tickvals": ticks,
            "ticktext": [f"{tick:g} %" for tick in ticks],
        },
        yaxis={"title": report["metric"], "ticksuffix": _unit(report)},
        shapes=_lines(report),
        meta=_near(report, trials),
    )


def _near(report, trials):
    """Returns scores around the budget in per cent; None if all trials are near it."""
    least, baseline = report["least"], report["baseline"]
    if least is None or baseline is None:
        return None
    budget = max(baseline - least, 0.001)
    sign, scale = score_sign(report), score_scale(report)
    if score_scale(report) == 1:
        budget = abs(baseline - least) or 0.01 * abs(baseline)
    if max(sign * (least - trial["score"]) for trial in trials) < 8 * budget:
        return None
    ends = least - sign * 4 * budget, baseline + sign * 1.5 * budget
    return {"near": [scale * end for end in sorted(ends)]}


def _unit(report) -> str:
    return " %" if score_scale(report) == 100 else ""


def _is_drawable(trial):
    """Returns whether a trial can be drawn on a logarithmic axis."""
    return trial["score"] is not None and (trial["kept"] or 0) > 0


def _points(trials, trained, objective, report):
    scale, metric = score_scale(report), report["metric"]
    return {
        "type": "scatter",
        "mode": "markers",
        "meta": "trials",
        "name": "after training" if trained else "without training",
        "x": [100 * trial["kept"] for trial in trials],
        "y": [scale * trial["score"] for trial in trials],
        "customdata": [_hover(trial) for trial in trials],
        "hovertemplate": f"%{{x:.2f}} % of {objective} kept<br>"
        f"{'%{y:.2f} %' if scale == 100 else '%{y:.4g}'} {metric}<br>"
        "%{customdata}<extra></extra>",
        "marker": {
            "symbol": "diamond" if trained else "circle-open",
            "size": 9,
            "color": LIGHT["second" if trained else "first"],
            "line": {"width": 2, "color": LIGHT["second" if trained else "first"]},
        },
    }


def _hover(trial):
    parts = [f"round {trial['round']}"]
    for key, name in (("params", "parameters"), ("flops", "FLOPs")):
        if trial.get(key) is not None:
            parts.append(f"{100 * trial[key]:.2f} % of {name}")
    return "<br>".join(parts)


def _frontier(trials, scale, sign):
    """Draws the best score among all trials that kept at most a given share."""
    best, x, y = None, [], []
    for trial in sorted(trials, key=lambda one: (one["kept"], -sign * one["score"])):
        if best is None or sign * trial["score"] > sign * best:
            best = trial["score"]
            x.append(100 * trial["kept"])
            y.append(scale * best)
    x.append(100 * max(trial["kept"] for trial in trials))
    y.append(scale * best)
    return {
        "type": "scatter",
        "mode": "lines",
        "meta": "frontier",
        "name": "best of this size or smaller",
        "x": x,
        "y": y,
        "hoverinfo": "skip",
        "line": {"shape": "hv", "width": 1.5, "color": LIGHT["muted"]},
    }


def _ring(trial, scale):
    return {
        "type": "scatter",
        "mode": "markers",
        "meta": "chosen",
        "name": "chosen",
        "x": [100 * trial["kept"]],
        "y": [scale * trial["score"]],
        "hoverinfo": "skip",
        "cliponaxis": False,
        "marker": {
            "symbol": "circle-open",
            "size": 20,
            "color": LIGHT["text"],
            "line": {"width": 2.5, "color": LIGHT["text"]},
        },
    }


def _lines(report):
    """Draws lines for the original's score and for the lowest score allowed."""
    return [
        {
            "type": "line",
            "name": key,
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": score_scale(report) * report[key],
            "y1": score_scale(report) * report[key],
            "line": {"width": 1.5, "dash": dash, "color": LIGHT["text"]},
        }
        for key, dash in (("baseline", "dot"), ("least", "dash"))
        if report[key] is not None
    ]


def _ticks(values):
    """Returns 1, 2 and 5 times powers of ten around `values`; fewer for many powers."""
    low, high = min(values), max(values)
    ticks = [tick for tick in _TICKS if low / 2.6 <= tick <= high * 2.6]
    if len(ticks) > 8:
        ticks = [tick for tick in ticks if f"{tick:e}".startswith("1")]
    return [tick for tick in ticks if tick <= 100 or high > 100]
