"""Numbers and findings of a report as text."""

NBSP = "\N{NO-BREAK SPACE}"
MISSING = "–"
OBJECTIVES = {
    "flops": "FLOPs",
    "params": "parameters",
    "bytes": "bytes",
    "latency": "time",
}
# Rows of `before_after` that the headline names, and their names there.
_NAMES = {
    "flops": ("FLOPs", "FLOPs"),
    "params": ("parameters", "parameters"),
    "bytes": ("LiteRT float32 bytes", "file size"),
    "latency": ("milliseconds", "time"),
}


# Metrics that are shares; the underscores of their names are blanks in labels.
_SCORES = (
    "accuracy",
    "agreement",
    "binary accuracy",
    "categorical accuracy",
    "sparse categorical accuracy",
    "mean iou",
)


def score_scale(report) -> int:
    """Returns by what scores are multiplied: 100 for shares, which are per cent."""
    return 100 if report.get("share", True) else 1


def score_sign(report) -> int:
    """Returns 1 if more of the score is better, -1 if less is."""
    return -1 if report.get("mode") == "min" else 1


def percent(share) -> str:
    """Formats a share as per cent; neither 0 nor 100 unless it is exactly that."""
    if share is None:
        return MISSING
    for digits in (1, 2, 3):
        rounded = round(100 * share, digits)
        if rounded not in (0, 100) or share in (0, 1):
            break
    return f"{rounded + 0.0:.{digits}f}{NBSP}%"


def number(value) -> str:
    """Formats a count with commas, or a small number with four digits."""
    if value is None:
        return MISSING
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def amount(value, label) -> str:
    """Formats a value of a row of `before_after` in the unit that its label implies."""
    if value is None:
        return MISSING
    if is_score(label):
        return percent(value)
    if "bytes" in label:
        for unit, size in (("MB", 1e6), ("kB", 1e3)):
            if value >= size:
                return f"{value / size:.3g}{NBSP}{unit}"
        return f"{number(value)}{NBSP}bytes"
    if "milliseconds" in label:
        return f"{value:.3g}{NBSP}ms" if value < 100 else f"{value:,.0f}{NBSP}ms"
    return number(value)


def removed(row) -> str:
    """Formats how much less `after` is: in per cent, or in points for scores."""
    before, after = row["before"], row["after"]
    if before is None or after is None:
        return MISSING
    if is_score(row["label"]):
        points = round(100 * (after - before), 1)
        return f"{points + 0.0:+.1f} points".replace("-", "−").replace("+0.0", "0.0")
    share = removed_share(row)
    if share is None:
        return MISSING
    return percent(share) if share >= 0 else f"{percent(-share)} more"


def removed_share(row) -> float | None:
    """Returns the removed share, negative for an increase; None if meaningless."""
    before, after = row["before"], row["after"]
    if is_score(row["label"]) or not before or after is None:
        return None
    return 1 - after / before


def is_score(label) -> bool:
    """Returns whether a row is a share of images, whose loss is given in points."""
    return label.startswith(_SCORES)


def label(text) -> str:
    """Returns the label of a row, without the unit that its values have."""
    names = {"milliseconds": "latency", "bytes": "file size"}
    return names.get(text, text.replace(" bytes", " file"))


def small(value) -> str:
    """Formats a difference or tolerance: two digits and the power of ten."""
    return "not a number" if value is None else f"{value:.1e}" if value else "0"


def duration(seconds) -> str:
    """Formats seconds as hours, minutes and seconds."""
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.3g}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{count}{NBSP}{unit}" for count, unit in parts if count)


def data_line(report) -> str:
    """Returns what the data are: their name, and how many images each part has."""
    data = report.get("data") or {}
    parts = [data["name"]] if data.get("name") else []
    for part in ("train", "validation", "test"):
        if data.get(part) is not None:
            parts.append(f"{data[part]:,} for {part}")
    return ", ".join(parts)


def about(report) -> list[str]:
    """Returns what the report is of: data, date, metric and versions."""
    versions = report["versions"]
    told = [text for text in (data_line(report), report.get("date", "")) if text]
    told.append(f"judged by {report['metric']}{_as_shipped(report)}")
    names = {"keras_basisprune": "keras_basisprune", "keras": "Keras"}
    packages = [f"{names[key]} {versions[key]}" for key in names if key in versions]
    if packages and "backend" in versions:
        packages[-1] += f" on {versions['backend']}"
    return [*told, *packages]


def _as_shipped(report) -> str:
    form = report["arguments"].get("ship")
    return f" of {form} LiteRT files" if form else ""


def objective_name(report) -> str:
    """Returns the name of the cost that the search made small."""
    objective = report["arguments"].get("cost")
    return OBJECTIVES.get(objective, "the objective")


def passed(row) -> bool:
    """Returns whether a row of the equality certificate holds."""
    difference, tolerance = row["difference"], row["tolerance"]
    return None not in (difference, tolerance) and difference <= tolerance


def verdict(rows) -> str:
    """Sums up the equality certificate in one sentence."""
    failed = [row["step"] for row in rows if not passed(row)]
    if not rows:
        return "No step was compared."
    if failed:
        return f"Failed: {len(failed)} of {len(rows)} differ ({', '.join(failed)})."
    if len(rows) == 1:
        return "Passed: the step computes the same as what it was made from."
    steps = f"all {len(rows)} steps"
    return f"Passed: {steps} compute the same as what they were made from."


def headline(report) -> str:
    """Says in one sentence what was removed and at what loss."""
    if not report["met_budget"]:
        return f"Nothing was removed: {_why_nothing(report)}"
    rows = {row["label"]: row for row in report["before_after"]}
    objective = report["arguments"].get("cost")
    parts = []
    for key in dict.fromkeys((objective, "flops", "params")):
        name, called = _NAMES.get(key, (None, None))
        if key == "bytes":  # of the form that ships
            name = next((x for x in rows if x.startswith("LiteRT")), name)
        share = removed_share(rows[name]) if name in rows else None
        if share is not None and share > 0:
            parts.append(f"{percent(share)} of the {called}")
    if not parts:
        return f"Nothing became smaller; {_loss(report, rows)}"
    words = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return f"{words} removed, {_loss(report, rows)}"


def _loss(report, rows):
    """Says how much of the score was lost, with the budget in brackets."""
    metric, before = report["metric"], report["baseline"]
    row = rows.get(f"{metric} on validation", {})
    before, after = row.get("before", before), row.get("after")
    if after is None and report["chosen"] is not None:
        after = report["trials"][report["chosen"]]["score"]
    if before is None or after is None:
        return f"the {metric} is not known"
    if score_scale(report) == 1 or score_sign(report) < 0:
        called = report.get("metric_text", metric)
        return f"{called} {number(before)} before, {number(after)} after"
    points = round(100 * (before - after), 1)
    if points == 0:
        text = f"no {metric} lost"
    else:
        verb = "lost" if points > 0 else "gained"
        text = f"{_points(abs(points))} of {metric} {verb}"
    told = []
    if _budget(report) is not None:
        told.append(f"budget {_budget(report):.1f}")
    if report["chosen"] is not None:
        bound = report["trials"][report["chosen"]].get("bound")
        if bound is not None:
            told.append(f"up to {100 * max(bound, 0):.1f} on other images")
    return f"{text} ({', '.join(told)})" if told else text


def standard_error(error) -> str:
    """Formats a standard error in points."""
    return MISSING if error is None else f"±{NBSP}{100 * error:.2f}"


def at_most(bound) -> str:
    """Formats an upper bound of a loss in points."""
    return MISSING if bound is None else f"{100 * bound:.1f}".replace("-", "−")


def _budget(report):
    if report["baseline"] is None or report["least"] is None:
        return None
    return 100 * (report["baseline"] - report["least"])


def _points(points):
    return f"{points:.1f}{NBSP}point{'' if points == 1 else 's'}"


def _why_nothing(report):
    trials, metric = report["trials"], report["metric"]
    if not trials:
        if report["layers"] and all(layer["reason"] for layer in report["layers"]):
            return "no layer could be made smaller."
        return "there was no trial."
    scored = [trial for trial in trials if trial["score"] is not None]
    if not scored:
        return f"no trial had a finite {metric}."
    if report["least"] is None:
        return "the original's score is not known."
    if any(trial.get("good_enough") for trial in scored):
        return "no network stayed within the budget once it was folded."
    sign, shown = score_sign(report), percent
    if score_scale(report) == 1:
        shown = number
    best = max(scored, key=lambda trial: sign * trial["score"])
    margin = ""
    if sign * best["score"] >= sign * report["least"]:
        asked = number(report["arguments"].get("margin"))
        margin = f", by the margin of {asked} standard errors"
    return (
        f"no trial kept {shown(report['least'])} {metric}, the least that the budget "
        f"allows{margin}; the best reached {shown(best['score'])}."
    )
